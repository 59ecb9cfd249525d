"""Reads recordings from audio files of any container, and writes answers to audio files."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from mmap import ACCESS_COPY, mmap
from pathlib import Path

import numpy as np
import soundfile

from convai.arrays import Array
from convai.client.audio_decoding import Source, read_audio
from convai.errors import InvalidArgument

# What a folder is searched for; a file that is named may have any ending.
EXTENSIONS = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf"),
    *(".m4a", ".mp4", ".aac", ".webm", ".weba", ".mka", ".mkv", ".mov", ".wma", ".3gp", ".amr"),
)
WRITABLE = (".wav", ".flac", ".ogg", ".mp3")


def find_questions(paths: list[Path]) -> list[Path]:
    """Return `paths`, with each folder replaced by the audio files directly inside it, sorted."""
    questions = []
    for path in paths:
        questions += _audio_files(path) if path.is_dir() else [path]
    return questions


def _audio_files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not found:
        raise InvalidArgument(f"folder {folder} has no audio file; expected one of {', '.join(EXTENSIONS)}")
    return found


def read_mono(path: Path, max_seconds: float = np.inf) -> tuple[Array, int]:
    """Read a file and average its channels. Results and errors as of `read_audio`."""
    return read_audio(open_source(path), max_seconds)


def open_source(path: Path) -> Source:
    """Return the content of a file or pipe without reading a large file into memory.

    Raises
    ------
    InvalidArgument : if the file cannot be read; the message omits its name
    """
    try:
        with path.open("rb") as file:
            if path.is_file() and path.stat().st_size > 0:
                return mmap(file.fileno(), 0, access=ACCESS_COPY)  # private: the decoder may correct a header in it
            return file.read()
    except OSError as error:
        raise InvalidArgument(f"cannot be read: {error.strerror}") from error


def check_can_be_written(path: Path) -> None:
    if path.suffix.lower() not in WRITABLE:
        raise InvalidArgument(f"expected a name that ends in one of {', '.join(WRITABLE)}, got {path}")


def write_mono(path: Path, audio: Array, sample_rate: int) -> None:
    """Write float32 audio in [-1, 1]; the ending of `path` chooses the format."""
    with open_mono(path, sample_rate) as write:
        write(audio)


@contextmanager
def open_mono(path: Path, sample_rate: int) -> Generator[Callable[[Array], None]]:
    """Open an audio file as `write_mono` does; the block gets a function that appends audio."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with soundfile.SoundFile(path, "w", sample_rate, channels=1) as file:
            yield file.write
    except soundfile.LibsndfileError as error:
        raise InvalidArgument(f"cannot write {path}: {error.error_string}") from error
