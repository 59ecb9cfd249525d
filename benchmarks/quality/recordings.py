"""Reads manifests: one JSON object per line that names a recording and says what is spoken in it."""

import json
from dataclasses import dataclass
from pathlib import Path

from convai.pipeline.mistakes import CallerMistake, reading


@dataclass(frozen=True)
class Recording:
    """One clip. With a context and accepted answers, it is a question to ask the whole pipeline.

    `text` is what is said; `question` is how it was written.
    """

    audio: Path
    text: str
    speaker: str = ""
    accent: str = ""
    question: str = ""
    context: str = ""
    accepted: tuple[str, ...] = ()


def read_manifest(manifest: Path) -> list[Recording]:
    """Read a manifest; paths of recordings are relative to it. Raises CallerMistake naming the line that is wrong."""
    recordings = []
    with reading(manifest, "UTF-8 text"):
        lines = manifest.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            recordings.append(recording_of(json.loads(line), manifest.parent))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise CallerMistake(f"{manifest}, line {number}: needs JSON with 'audio' and 'text' ({error!r})") from error
    if not recordings:
        raise CallerMistake(f"{manifest} is empty; it needs one line per recording")
    return recordings


def recording_of(entry: dict, folder: Path) -> Recording:
    return Recording(
        audio=folder / entry["audio"],
        text=entry["text"],
        speaker=entry.get("speaker", ""),
        accent=entry.get("accent", ""),
        question=entry.get("question", entry["text"]),
        context=entry.get("context", ""),
        accepted=tuple(entry.get("answers", ())),
    )
