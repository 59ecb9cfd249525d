"""Measure the quality of a running server: word error rate, word times, exact match, F1, refusals, and the voice.

python -m benchmarks.quality.evaluate text --squad dev-v1.1.json --questions 500
python -m benchmarks.quality.evaluate speech --manifest recordings/manifest.jsonl --compare 127.0.0.1:9001
python -m benchmarks.quality.evaluate speech --manifest recordings/manifest.jsonl --noise 10 --noise-colour brown
python -m benchmarks.quality.evaluate words --squad dev-v1.1.json --questions 100 --voice kal_diphone
python -m benchmarks.quality.evaluate speak --squad dev-v1.1.json --questions 100 --voice espeak-ng:en-us --out spoken
python -m benchmarks.quality.evaluate pipeline --manifest spoken/manifest.jsonl
python -m benchmarks.quality.evaluate voice --texts dev-v1.1.json --count 200 --server 127.0.0.1:8001
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.measurements import Measurement, format_measurements
from benchmarks.options import add_json_option, build_program_parser, write_json
from convai.client.client import ConvaiClient
from convai.client.connection import DEFAULT_ADDRESS
from convai.errors import InvalidArgument
from convai.program import run_program

# The evaluations are imported when one runs, because each needs packages of its own.


def build_parser() -> argparse.ArgumentParser:
    parser = build_program_parser("benchmarks.quality.evaluate", __doc__)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="text|speech|words|pipeline|voice|speak")
    text = kinds.add_parser("text", help="text questions: exact match, F1, refusals of contexts without the answer")
    speech = kinds.add_parser("speech", help="recordings: word error rate with its confidence interval")
    words = kinds.add_parser("words", help="word times, beside those that Festival reports for its own speech")
    pipeline = kinds.add_parser("pipeline", help="spoken questions about contexts, and the same questions as text")
    voice = kinds.add_parser("voice", help="speech: an independent recogniser's word error rate, beside the teacher's")
    speak = kinds.add_parser("speak", help="make spoken questions for `pipeline` with a synthesiser")

    for kind in (text, words, speak):
        kind.add_argument("--squad", type=Path, required=True, help="questions in SQuAD format, may be gzipped")
        kind.add_argument("--questions", type=int, default=500, help="number to draw, default %(default)s")
    for kind in (text, speech, words, pipeline):
        kind.add_argument("--server", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help="default %(default)s")
        kind.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="per call, default 60")
    manifest_help = "JSON lines: audio, text (speaker, question, context, answers)"
    pipeline.add_argument("--manifest", type=Path, required=True, help=manifest_help)
    speech.add_argument("--manifest", type=Path, required=True, nargs="+", help=manifest_help)
    for kind in (speech, pipeline):
        kind.add_argument("--limit", type=int, metavar="N", help="draw N recordings of each manifest (default: all)")
    speech.add_argument("--compare", metavar="HOST:PORT", help="another server to transcribe the same recordings")
    speech.add_argument("--noise", type=float, metavar="DB", help="add noise DB below the speech (default: none)")
    speech.add_argument("--noise-colour", default="pink", help="white, pink or brown; default %(default)s")

    words.add_argument("--voice", nargs="+", required=True, dest="voices", help="of Festival, such as kal_diphone")

    speak.add_argument("--voice", nargs="+", required=True, dest="voices", help="engine:voice, such as flite:slt")
    speak.add_argument("--out", type=Path, required=True, help="folder for the recordings and their manifest.jsonl")

    voice.add_argument("--texts", type=Path, nargs="+", required=True, help="text or SQuAD files, not trained on")
    voice.add_argument("--count", type=int, default=200, help="number of texts to draw, default %(default)s")
    voice.add_argument("--max-words", type=int, default=40, help="words of the longest text, default %(default)s")
    voice.add_argument("--dictionary", type=Path, help="pronunciations for teacher and --tacotron2 (default: letters)")
    voice.add_argument("--server", metavar="HOST:PORT", help="judge a running server, whole and streamed")
    voice.add_argument("--waveglow", type=Path, help="weights: judge the teacher's mels, with and without post-filter")
    voice.add_argument("--tacotron2", type=Path, help="weights: judge both networks")
    voice.add_argument("--out", type=Path, help="folder for the recordings")

    for kind in (text, speech, words, pipeline, speak, voice):
        kind.add_argument("--seed", type=int, default=0, help="another seed draws other items")
    for kind in (text, speech, words, pipeline, voice):
        add_json_option(kind)
    return parser


def run(args: argparse.Namespace) -> None:
    for name in ("questions", "limit", "count"):
        if getattr(args, name, None) is not None and getattr(args, name) < 1:
            raise InvalidArgument(f"--{name}: expected at least 1, got {getattr(args, name)}")
    if args.kind == "speak":
        from benchmarks.quality.spoken_questions import make_spoken_questions

        print(make_spoken_questions(args.squad, args.questions, args.voices, args.out, args.seed))
    elif args.kind == "speech":
        write_measurements(args, evaluate_speech(args))
    else:
        measurements = EVALUATIONS[args.kind](args)
        print(format_measurements(measurements))
        write_measurements(args, measurements)


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def write_measurements(args: argparse.Namespace, measurements: list[Measurement]) -> None:
    write_json(args.json, [measurement.build_record() for measurement in measurements])


def evaluate_text(args: argparse.Namespace) -> list[Measurement]:
    from benchmarks.quality.answers import measure_text_questions
    from benchmarks.quality.question_answering import draw_items, read_questions

    answerable = [asked for asked in read_questions(args.squad) if asked.accepted]
    with ConvaiClient(args.server, timeout_seconds=args.timeout) as client:
        return measure_text_questions(client, draw_items(answerable, args.questions, args.seed))


def evaluate_words(args: argparse.Namespace) -> list[Measurement]:
    from benchmarks.quality.question_answering import draw_items, is_short, read_questions
    from benchmarks.quality.word_times import measure_word_times
    from convai.backends.steps.transcripts import spoken_form

    usable = [spoken_form(asked.question) for asked in read_questions(args.squad) if is_short(asked)]
    with ConvaiClient(args.server, timeout_seconds=args.timeout) as client:
        return measure_word_times(client, draw_items(usable, args.questions, args.seed), args.voices)


def evaluate_pipeline(args: argparse.Namespace) -> list[Measurement]:
    from benchmarks.quality.answers import measure_spoken_questions
    from benchmarks.quality.question_answering import draw_items
    from training.common.recordings import read_manifest

    with ConvaiClient(args.server, timeout_seconds=args.timeout) as client:
        return measure_spoken_questions(client, draw_items(read_manifest(args.manifest), args.limit, args.seed))


def evaluate_voice(args: argparse.Namespace) -> list[Measurement]:
    from benchmarks.quality.voice import measure_voices

    return measure_voices(args)


EVALUATIONS = {"text": evaluate_text, "words": evaluate_words, "pipeline": evaluate_pipeline, "voice": evaluate_voice}


def evaluate_speech(args: argparse.Namespace) -> list[Measurement]:
    """Print the reports of the recordings with their contexts and, if there are contexts, without."""
    from benchmarks.quality.recognition import Noise, format_report, measure_corpora, transcribe_corpora

    corpora = read_corpora(args.manifest, args.limit, args.seed)
    noise = None if args.noise is None else Noise(args.noise, args.noise_colour, args.seed)
    servers = [args.server, *([args.compare] if args.compare else [])]
    with ExitStack() as stack:
        clients = [stack.enter_context(ConvaiClient(server, timeout_seconds=args.timeout)) for server in servers]
        transcribed = transcribe_corpora(clients, corpora, noise)
        print(format_report(transcribed, servers))
        if any(one.recording.context for one in transcribed):
            print("\nWithout contexts\n")
            print(format_report(transcribe_corpora(clients, corpora, noise, use_contexts=False), servers))
    return measure_corpora(transcribed)


def read_corpora(manifests: list[Path], limit: int | None, seed: int) -> dict[str, list]:
    """Return each manifest's recordings by its folder's name, or by its path where folders have the same name."""
    from benchmarks.quality.question_answering import draw_items
    from training.common.recordings import read_manifest

    names = [manifest.resolve().parent.name for manifest in manifests]
    names = names if len(set(names)) == len(names) else [str(manifest) for manifest in manifests]
    recordings = [draw_items(read_manifest(manifest), limit, seed) for manifest in manifests]
    return dict(zip(names, recordings, strict=True))


if __name__ == "__main__":
    sys.exit(main())
