"""Reads questions from audio files and writes answers to audio files, in the formats of libsndfile."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import soundfile

from convai.arrays import Array
from convai.errors import InvalidArgument

EXTENSIONS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf")
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


def read_mono(path: Path) -> tuple[Array, int]:
    """Read a file and average its channels.

    Returns
    -------
    audio : float32 in [-1, 1], shape = (samples,)
    sample_rate : Hertz

    Raises
    ------
    InvalidArgument : if the file cannot be read or is not audio; the message omits the file's name
    """
    try:
        # From memory, so that libsndfile detects the format by content: it trusts the ending of some names.
        audio, sample_rate = soundfile.read(BytesIO(path.read_bytes()), dtype="float32", always_2d=True)
    except OSError as error:
        raise InvalidArgument(f"cannot be read: {error.strerror}") from error
    except soundfile.LibsndfileError as error:
        raise InvalidArgument(f"is not audio: {error.error_string} Expected WAV, FLAC, Ogg or MP3") from error
    return audio.mean(axis=1), sample_rate


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
