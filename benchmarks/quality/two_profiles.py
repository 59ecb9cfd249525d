"""What another way of running the networks costs in quality: the same recordings, questions and texts in two profiles.

python -m convai.benchmarks.quality.two_profiles --manifest recordings/manifest.jsonl --squad dev-v1.1.json.gz \
    --texts dev-v1.1.json.gz --profiles cpu-onnx cpu

In one process and without a server, so that it takes minutes: hearing and answering go through the steps of each
profile, speaking through its WaveGlow after the same mel. An independent recogniser listens to what was spoken.
"""

import argparse
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from convai.backends.steps.transcripts import spoken_form
from convai.benchmarks.quality.question_answering import read_questions, sample
from convai.benchmarks.quality.squad_metrics import score
from convai.benchmarks.speed.in_process import InProcess, RunStep, network, python_steps
from convai.benchmarks.tables import Measurement, as_json, measurements_table
from convai.client.answer import Answer
from convai.client.requests import Request, answer_text_request, speak_request, transcribe_request
from convai.generator.profiles import PROFILES
from convai.networks.training.recordings import read_manifest
from convai.pipeline.description import VOICE_SAMPLE_RATE_HERTZ
from convai.pipeline.ears import JASPER
from convai.pipeline.program import run_program

Sides = Mapping[str, InProcess]  # by profile
Said = list[list[Answer]]  # by request, and in it by profile


def answers_of(sides: Sides, requests: Sequence[Request], what: str) -> Said:
    return [[side.walk(request)[0] for side in sides.values()] for request in tqdm(requests, desc=what, mininterval=5)]


def hearing(sides: Sides, manifests: Sequence[Path], count: int) -> list[Measurement]:
    import jiwer

    recordings = sample([one for manifest in manifests for one in read_manifest(manifest)], count)
    requests = [transcribe_request(*read_audio(recording.audio)) for recording in recordings]
    heard = [[str(one.question) for one in row] for row in answers_of(sides, requests, "hearing")]
    said = [recording.text for recording in recordings]
    return measured("hearing", sides, heard, lambda texts: {"WER": 100 * jiwer.wer(said, texts)})


def answering(sides: Sides, squad: Path, count: int) -> list[Measurement]:
    asked = sample([question for question in read_questions(squad) if question.accepted], count)
    requests = [answer_text_request(one.question, one.context) for one in asked]
    given = [[str(one.answer) for one in row] for row in answers_of(sides, requests, "answering")]
    accepted = [one.accepted for one in asked]
    return measured("answering", sides, given, lambda texts: score(texts, accepted)._asdict())


def speaking(sides: Sides, texts: Sequence[Path], count: int) -> list[Measurement]:
    import jiwer

    from convai.benchmarks.quality.listener import Listener
    from convai.networks.tacotron2.texts import draw_texts

    drawn = draw_texts(list(texts), count, 40, random.Random(0))
    spoken = answers_of(sides, [speak_request(text) for text in drawn], "speaking")
    audio = [[np.asarray(one.answer_audio) for one in row] for row in spoken]
    listener = Listener()
    heard = [[listener(one, VOICE_SAMPLE_RATE_HERTZ) for one in row] for row in tqdm(audio, desc="listening")]
    said = [spoken_form(text) for text in drawn]
    rows = measured("speaking", sides, heard, lambda texts: {"WER": 100 * jiwer.wer(said, texts)})
    largest = max(float(np.abs(one - other).max()) for one, other in ((row[0], row[-1]) for row in audio))
    print(f"speaking: no sample differs by more than {largest:.1e} of full scale")
    return rows


def measured(
    what: str, sides: Sides, texts: Sequence[Sequence[str]], figures: Callable[[list[str]], Mapping[str, float]]
) -> list[Measurement]:
    """Figures of each profile, and the share of texts that are the first one's."""
    same = [[text == row[0] for text in row] for row in texts]
    return [
        Measurement(
            f"{what}, {profile}",
            len(texts),
            {**figures([row[place] for row in texts]), "same": 100 * float(np.mean([row[place] for row in same]))},
        )
        for place, profile in enumerate(sides)
    ]


def read_audio(file: Path) -> tuple[np.ndarray, int]:
    audio, sample_rate = soundfile.read(file, dtype="float32")
    return audio, sample_rate


def opened(model_repository: Path, profiles: Sequence[str], names: Sequence[str]) -> Sides:
    """The steps of each profile with those networks; what else they need is run by the first one's Python steps."""
    shared: dict[str, RunStep] = python_steps(model_repository, profiles[0])
    shared["tacotron2"] = network("tacotron2", model_repository, profiles[0])
    return {
        profile: InProcess(shared | {name: network(name, model_repository, profile) for name in names})
        for profile in profiles
    }


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m convai.benchmarks.quality.two_profiles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    with_jasper = [name for name, profile in PROFILES.items() if profile.ears == JASPER]
    parser.add_argument("--profiles", nargs=2, choices=with_jasper, default=("cpu-onnx", "cpu"), metavar="PROFILE")
    parser.add_argument("--manifest", type=Path, nargs="+", default=(), help="recordings to hear")
    parser.add_argument("--squad", type=Path, help="questions to answer, in SQuAD format, may be gzipped")
    parser.add_argument("--texts", type=Path, nargs="+", default=(), help="text or SQuAD files to speak from")
    parser.add_argument("--count", type=int, default=500, help="of each, default %(default)s")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    tasks: list[tuple[str, Any, Callable[..., list[Measurement]]]] = [
        ("jasper", args.manifest, hearing),
        ("bert", args.squad, answering),
        ("waveglow", args.texts, speaking),
    ]
    wanted = [task for task in tasks if task[1]]
    sides = opened(args.model_repository, args.profiles, [name for name, _, _ in wanted])
    rows = [row for _, source, measure in wanted for row in measure(sides, source, args.count)]
    print(measurements_table(rows))
    if args.json:
        args.json.write_text(as_json(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
