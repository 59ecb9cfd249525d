"""Measure the quality of a running server's answers: word error rate, exact match, F1, refusals, the voice.

python -m benchmarks.quality.evaluate text --squad dev-v1.1.json --questions 500
python -m benchmarks.quality.evaluate speech --manifest recordings/manifest.jsonl others/manifest.jsonl --compare 127.0.0.1:9001
python -m benchmarks.quality.evaluate speech --manifest recordings/manifest.jsonl --noise 10 --noise-kind babble
python -m benchmarks.quality.evaluate speak --squad dev-v1.1.json --questions 100 --voice espeak-ng:en-us --out spoken/
python -m benchmarks.quality.evaluate pipeline --manifest spoken/manifest.jsonl
python -m benchmarks.quality.evaluate voice --texts dev-v1.1.json --count 200 --server 127.0.0.1:8001
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from convai.client.connection import DEFAULT_ADDRESS
from convai.errors import InvalidArgument
from convai.program import run_program


def add_arguments(parser: argparse.ArgumentParser):
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="text|speech|pipeline|voice|speak")
    text = kinds.add_parser("text", help="text questions: exact match, F1, refusals when the context lacks the answer")
    add_squad_arguments(text)
    speech = kinds.add_parser("speech", help="recordings: word error rate")
    pipeline = kinds.add_parser("pipeline", help="spoken questions about contexts, and the same questions as text")
    manifest: dict[str, Any] = {
        "type": Path,
        "required": True,
        "help": "JSON lines: audio, text (question, context, answers)",
    }
    pipeline.add_argument("--manifest", **manifest)
    pipeline.add_argument("--limit", type=int, help="measure the first so many recordings (default: all)")
    speech.add_argument("--manifest", nargs="+", **manifest)
    add_speech_arguments(speech)
    for one in (text, speech, pipeline):
        one.add_argument("--server", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help="default %(default)s")
        one.add_argument(
            "--timeout", type=float, default=60.0, metavar="SECONDS", help="per request, default %(default)g"
        )
        one.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    speak = kinds.add_parser("speak", help="make spoken questions for `pipeline` with a synthesiser")
    add_squad_arguments(speak)
    speak.add_argument("--voice", nargs="+", required=True, dest="voices", help="engine:voice, such as flite:slt")
    speak.add_argument("--out", type=Path, required=True, help="folder for the recordings and their manifest.jsonl")
    voice = kinds.add_parser(
        "voice", help="spoken answers: an independent listener's word error rate, beside that on the teacher's speech"
    )
    add_voice_arguments(voice)


def add_speech_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, help="draw so many recordings of each manifest (default: all)")
    parser.add_argument("--compare", metavar="HOST:PORT", help="another server to hear the same recordings")
    noise_help = "add noise so many decibels below the speech (default: none)"
    parser.add_argument("--noise", type=float, metavar="DB", help=noise_help)
    parser.add_argument("--noise-kind", default="pink", help="white, pink, brown or babble; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other recordings and other noise")


def add_voice_arguments(parser: argparse.ArgumentParser):
    """Voices: always the teacher, beside whom others are judged; what a running server says; networks in training."""
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="text or SQuAD files, not learnt from")
    parser.add_argument("--count", type=int, default=200, help="how many texts to draw, default %(default)s")
    parser.add_argument("--max-words", type=int, default=40, help="longest text in words, default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other texts")
    parser.add_argument("--dictionary", type=Path, help="pronunciations for teacher and --tacotron2 (default: letters)")
    parser.add_argument("--server", metavar="HOST:PORT", help="judge what a running server says")
    parser.add_argument(
        "--waveglow", type=Path, help="weights: judge the teacher's mels through them, with and without post-filter"
    )
    parser.add_argument("--tacotron2", type=Path, help="weights: judge both networks")
    parser.add_argument("--out", type=Path, help="folder for the recordings and pictures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")


def add_squad_arguments(parser: argparse.ArgumentParser):
    parser.add_argument("--squad", type=Path, required=True, help="questions in SQuAD format, may be gzipped")
    parser.add_argument("--questions", type=int, default=500, help="how many to draw, default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other questions")


def run(args: argparse.Namespace) -> int:
    if args.kind == "speak":
        return make_spoken(args)
    if args.kind == "voice":
        from benchmarks.quality import speech

        return speech.run(args)
    if args.kind == "speech":
        return hear(args)
    # Imported here, because each takes a second that `--help` and errors in the arguments need not wait for.
    from benchmarks.tables import as_json, measurements_table
    from convai.client.client import ConvaiClient

    items = read_items(args)
    with ConvaiClient(args.server, timeout_seconds=args.timeout) as client:
        measurements = measure_of(args.kind)(client, items)
    print(measurements_table(measurements))
    if args.json:
        args.json.write_text(as_json(measurements) + "\n")
    return 0


def hear(args: argparse.Namespace) -> int:
    from contextlib import ExitStack

    from benchmarks.quality.hearing import Noise, listen, without_texts
    from benchmarks.quality.hearing_report import report, report_json
    from convai.client.client import ConvaiClient

    corpora = read_corpora(args)
    noise = None if args.noise is None else Noise(args.noise, args.noise_kind, args.seed)
    servers = [args.server, *([args.compare] if args.compare else [])]
    with ExitStack() as stack:
        clients = [stack.enter_context(ConvaiClient(server, timeout_seconds=args.timeout)) for server in servers]
        heard = listen(clients, corpora, noise)
        print(report(heard, servers))
        if any(one.recording.context for one in heard):
            print("\nThe same without their texts in mind\n")
            print(report(listen(clients, without_texts(corpora), noise), servers))
    if args.json:
        args.json.write_text(report_json(heard, servers) + "\n")
    return 0


def read_corpora(args: argparse.Namespace) -> dict[str, list]:
    """The recordings of each manifest under the name of its folder, or its own where folders are called alike."""
    from benchmarks.quality.question_answering import sample
    from training.common.recordings import read_manifest

    names = [manifest.resolve().parent.name for manifest in args.manifest]
    names = names if len(set(names)) == len(names) else [str(manifest) for manifest in args.manifest]
    count = None if args.limit is None else positive(args.limit)
    return {
        name: sample(read_manifest(manifest), count, args.seed)
        for name, manifest in zip(names, args.manifest, strict=True)
    }


def make_spoken(args: argparse.Namespace) -> int:
    from benchmarks.quality.spoken_questions import make_spoken_questions

    print(make_spoken_questions(args.squad, positive(args.questions), args.voices, args.out, args.seed))
    return 0


def read_items(args: argparse.Namespace) -> list:
    if args.kind == "text":
        from benchmarks.quality.question_answering import read_questions, sample

        answerable = [asked for asked in read_questions(args.squad) if asked.accepted]
        return sample(answerable, positive(args.questions), args.seed)
    from training.common.recordings import read_manifest

    return read_manifest(args.manifest)[: None if args.limit is None else positive(args.limit)]


def positive(count: int) -> int:
    if count < 1:
        raise InvalidArgument(f"got {count} to measure; --questions and --limit must be at least 1")
    return count


def measure_of(kind: str):
    from benchmarks.quality import served as quality

    return {"text": quality.reading, "pipeline": quality.conversation}[kind]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(run_program(build_parser(), run))
