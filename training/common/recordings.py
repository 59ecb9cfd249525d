"""Reads manifests: one JSON object per line that names a recording and says what is spoken in it."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from convai.errors import InvalidArgument, reading


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_list_of(*types: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(type(item) in types for item in value)


# What may stand in a line besides what nobody here reads, such as "seconds".
FIELDS: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    **dict.fromkeys(("audio", "text", "speaker", "accent", "question", "context", "spoken"), ("a text", is_text)),
    "answers": ("a list of texts", is_list_of(str)),
    "ends": ("a list of seconds", is_list_of(int, float)),
}


@dataclass(frozen=True)
class Recording:
    """One clip. With a context and accepted answers, it is a question to ask the whole pipeline.

    Attributes
    ----------
    text, question : what is said, and how it was written
    spoken, ends : the symbols of the voice that says it, and the second at which each of them ends
    """

    audio: Path
    text: str = ""
    speaker: str = ""
    accent: str = ""
    question: str = ""
    context: str = ""
    accepted: tuple[str, ...] = ()
    spoken: str = ""
    ends: tuple[float, ...] = ()


def read_manifest(manifest: Path, needed: Sequence[str] = ("audio", "text")) -> list[Recording]:
    """Read a manifest whose lines all hold the fields `needed`; paths of recordings are relative to it.

    Raises InvalidArgument naming the line and the field that is wrong, or if there is no line.
    """
    recordings = [recording_of(entry, manifest.parent) for entry in _entries(manifest, needed)]
    if not recordings:
        raise InvalidArgument(f"{manifest} is empty; it needs one line per recording")
    return recordings


def fingerprint(manifest: Path, *options: object) -> str:
    """Names what is made of a manifest's recordings under some options, for a cache; other fields, another name."""
    entries = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return hashlib.sha256(" ".join(map(str, (manifest.resolve(), *options, entries))).encode()).hexdigest()[:16]


def recording_of(entry: Mapping, folder: Path) -> Recording:
    """One line of a manifest that lies in `folder`."""
    return Recording(
        audio=folder / entry["audio"],
        text=entry.get("text", ""),
        speaker=entry.get("speaker", ""),
        accent=entry.get("accent", ""),
        question=entry.get("question", entry.get("text", "")),
        context=entry.get("context", ""),
        accepted=tuple(entry.get("answers", ())),
        spoken=entry.get("spoken", ""),
        ends=tuple(entry.get("ends", ())),
    )


def _entries(manifest: Path, needed: Sequence[str]) -> Iterator[dict]:
    with reading(manifest, "UTF-8 text"):
        lines = manifest.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise InvalidArgument(f"{manifest}, line {number} is no JSON: {error}") from error
        if fault := _fault(entry, needed):
            raise InvalidArgument(f"{manifest}, line {number}: {fault}")
        yield entry


def _fault(entry: object, needed: Sequence[str]) -> str | None:
    if not isinstance(entry, dict):
        return f"must be a JSON object, got {entry!r}"
    if missing := [name for name in needed if name not in entry]:
        return f"must hold {', '.join(map(repr, needed))}, lacks {', '.join(map(repr, missing))}"
    for name, (rule, holds) in FIELDS.items():
        if name in entry and not holds(entry[name]):
            return f"{name!r} must be {rule}, got {entry[name]!r}"
    return None
