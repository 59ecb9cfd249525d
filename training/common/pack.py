"""Packs speech as Opus into tar files that are small enough to send to another machine.

    python -m training.common.pack --real an4/manifest.jsonl --synthetic flite/manifest.jsonl --out packs

Clips are drawn at random, half of them real. Each pack-NN.tar holds NN/real, NN/synthetic and, the first one, 00/dev:
speakers that training.jasper.train would keep for evaluation. Each of these folders has its manifest.jsonl.
"""

import io
import json
import sys
import tarfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from convai.description.pipeline import SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument, reading
from convai.program import run_program
from training.common.recordings import Recording, read_manifest
from training.common.run import make_parser
from training.jasper.data import is_held_out
from training.jasper.train import DEV_CLIPS

TAR_BLOCK, TAR_END = 512, 10_240  # bytes: a member's header, what its size is rounded up to, and the end of a file


def build_parser() -> ArgumentParser:
    parser = make_parser("training.common.pack", __doc__)
    parser.add_argument("--real", type=Path, nargs="+", required=True, help="manifest.jsonl files of people's speech")
    parser.add_argument("--synthetic", type=Path, nargs="+", required=True, help="likewise of synthetic speech")
    parser.add_argument("--packs", type=int, default=1, help="how many files to make at most (default: %(default)s)")
    parser.add_argument("--mebibytes", type=float, default=60, help="size of each at most (default: %(default)g)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    return parser


def run(args: Namespace) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    clips = encode_clips(draw_clips(args))
    for number in range(args.packs):
        file = args.out / f"pack-{number:02}.tar"
        count = write_pack(file, f"{number:02}", clips, round(args.mebibytes * 2**20))
        if not count:
            if not number:
                raise InvalidArgument(f"--mebibytes: expected room for a clip, got {args.mebibytes:g}")
            break
        print(f"{file}: {count} clips, {file.stat().st_size / 2**20:.1f} MiB")


def draw_clips(args: Namespace) -> Iterator[tuple[str, Recording]]:
    """Yield the dev clips, then real and synthetic ones in turn, until one kind is used up."""
    rng = np.random.default_rng(args.seed)
    kinds: dict[str, list[Recording]] = {"dev": []}
    for kind in ("real", "synthetic"):
        read = [one for file in getattr(args, kind) for one in read_manifest(file, ("audio", "text", "speaker"))]
        shuffled = [read[index] for index in rng.permutation(len(read))]
        kinds[kind] = [one for one in shuffled if kind == "synthetic" or not is_held_out(one.speaker)]
        kinds["dev"] += [one for one in shuffled if kind == "real" and is_held_out(one.speaker)][:DEV_CLIPS]
    yield from (("dev", one) for one in kinds["dev"])
    for real, synthetic in zip(kinds["real"], kinds["synthetic"], strict=False):
        yield "real", real
        yield "synthetic", synthetic


def write_pack(file: Path, folder: str, clips: Iterator[tuple[str, bytes, str]], most_bytes: int) -> int:
    """Fill one tar file with the next clips; return how many. A clip that no longer fits is left out."""
    manifests: dict[str, list[str]] = {}
    size, number = TAR_END + 3 * count_bytes(TAR_BLOCK), 0  # with the manifests of three kinds
    with tarfile.open(file, "w") as tar:
        for kind, opus, line in clips:
            size += count_bytes(len(opus)) + len(line)
            if size > most_bytes:
                break
            name = f"{folder}/{kind}/{json.loads(line)['audio']}"
            add_file(tar, name, opus)
            manifests.setdefault(kind, []).append(line)
            number += 1
        for kind, lines in manifests.items():
            add_file(tar, f"{folder}/{kind}/manifest.jsonl", "".join(lines).encode())
    if not number:
        file.unlink()
    return number


def count_bytes(length: int) -> int:
    """What a member of this length takes in a tar file."""
    return TAR_BLOCK + -(-length // TAR_BLOCK) * TAR_BLOCK


def add_file(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def encode_clips(clips: Iterable[tuple[str, Recording]]) -> Iterator[tuple[str, bytes, str]]:
    """Yield the kind of each clip, the clip as Opus of 16 kHz, and its line of the manifest."""
    for number, (kind, clip) in enumerate(tqdm(clips, desc="pack", mininterval=10)):
        with reading(clip.audio, "audio"):
            audio, sample_rate_hertz = soundfile.read(clip.audio, dtype="float32")
        audio = soxr.resample(audio, sample_rate_hertz, SAMPLE_RATE_HERTZ)
        opus = io.BytesIO()
        soundfile.write(opus, audio, SAMPLE_RATE_HERTZ, format="OGG", subtype="OPUS")
        line = {"audio": f"{number:06}.opus", "text": clip.text, "speaker": clip.speaker}
        yield kind, opus.getvalue(), json.dumps(line) + "\n"


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
