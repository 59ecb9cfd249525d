"""Reads manifests, one JSON object per line that names a clip and its text, and keeps what is made of the clips."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from convai.errors import InvalidArgument, reading

# The fields that are checked, texts and lists; others, such as "seconds", are ignored.
TEXT_FIELDS = ("audio", "text", "speaker", "accent", "question", "context", "spoken")
LIST_FIELDS = {"answers": ("texts", (str,)), "ends": ("seconds", (int, float))}


@dataclass(frozen=True)
class Recording:
    """One clip. With a context and accepted answers, it is a question to ask the whole pipeline.

    Attributes
    ----------
    text, question : what is said, and how it was written
    spoken, ends : the symbols that the voice says, and the second at which each of them ends
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
    recordings = [recording_of(entry, manifest.parent) for entry in _read_entries(manifest, needed)]
    if not recordings:
        raise InvalidArgument(f"{manifest} is empty; it needs one line per recording")
    return recordings


def recording_of(entry: Mapping, folder: Path) -> Recording:
    """One line of a manifest that lies in `folder`."""
    return Recording(
        audio=folder / entry["audio"],
        question=entry.get("question", entry.get("text", "")),
        accepted=tuple(entry.get("answers", ())),
        ends=tuple(entry.get("ends", ())),
        **{name: entry.get(name, "") for name in ("text", "speaker", "accent", "context", "spoken")},
    )


def read_cached(
    manifest: Path, cache: Path, recordings: Sequence[Recording], read: Callable[[Path], np.ndarray], *options: object
) -> tuple[np.ndarray, np.ndarray]:
    """Read all clips of a manifest into one array, which is kept in the folder `cache`.

    Parameters
    ----------
    read : makes the array of one audio file, shape = (length, ...)
    options : that `read` depends on besides the file; other options make another array

    Returns
    -------
    clips : shape = (length of all clips, ...), mapped into memory
    ends : int64, shape = (clips,), the end of each clip in `clips`
    """
    kind = read.__name__.removeprefix("read_")
    file = cache / f"{manifest.parent.name}-{kind}-{fingerprint(manifest, *options)}.npy"
    ends_file = file.with_suffix(".ends.npy")
    if not ends_file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Imported here, because reading a manifest needs no PyTorch.
        from training.common.device import choose_device, choose_workers, draw_ahead

        files = [recording.audio for recording in recordings]
        clips = draw_ahead(read, files, choose_workers(choose_device()))
        clips = list(tqdm(clips, desc=kind, total=len(files), mininterval=10))
        np.save(file, np.concatenate(clips))
        np.save(ends_file, np.cumsum([len(clip) for clip in clips]))
    return np.load(file, mmap_mode="r"), np.load(ends_file)


def fingerprint(manifest: Path, *options: object) -> str:
    """A name for what is made of a manifest's recordings under some options; any changed field changes it."""
    entries = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return hashlib.sha256(" ".join(map(str, (manifest.resolve(), *options, entries))).encode()).hexdigest()[:16]


def _read_entries(manifest: Path, needed: Sequence[str]) -> Iterator[dict]:
    with reading(manifest, "UTF-8 text"):
        lines = manifest.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise InvalidArgument(f"{manifest}, line {number} is not JSON: {error}") from error
        if fault := _find_fault(entry, needed):
            raise InvalidArgument(f"{manifest}, line {number}: {fault}")
        yield entry


def _find_fault(entry: object, needed: Sequence[str]) -> str | None:
    if not isinstance(entry, dict):
        return f"must be a JSON object, got {entry!r}"
    if missing := [name for name in needed if name not in entry]:
        return f"must hold {', '.join(map(repr, needed))}, lacks {', '.join(map(repr, missing))}"
    for name in entry.keys() & {*TEXT_FIELDS}:
        if not isinstance(entry[name], str):
            return f"{name!r} must be a text, got {entry[name]!r}"
    for name in entry.keys() & LIST_FIELDS:
        items, types = LIST_FIELDS[name]
        if not isinstance(entry[name], list) or not all(type(item) in types for item in entry[name]):
            return f"{name!r} must be a list of {items}, got {entry[name]!r}"
    return None
