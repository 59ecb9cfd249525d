"""Reads questions from audio files and writes answers to them, in any format that libsndfile knows."""

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
    """The files among `paths`, and the audio files directly inside each folder among them, sorted."""
    questions = []
    for path in paths:
        questions += _audio_files(path) if path.is_dir() else [path]
    return questions


def _audio_files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not found:
        raise InvalidArgument(f"folder {folder} holds no audio file; looked for {', '.join(EXTENSIONS)}")
    return found


def read_mono(path: Path) -> tuple[Array, int]:
    """The average of a file's channels. A InvalidArgument says what is wrong with the file, without its name.

    Returns
    -------
    audio : float32 in [-1, 1], shape = (samples,)
    sample_rate : Hertz
    """
    try:
        # Through memory, for a file is what its content says, whatever its name ends in.
        audio, sample_rate = soundfile.read(BytesIO(path.read_bytes()), dtype="float32", always_2d=True)
    except OSError as error:
        raise InvalidArgument(f"cannot be read: {error.strerror}") from error
    except soundfile.LibsndfileError as error:
        raise InvalidArgument(f"is not audio: {error.error_string} Known are WAV, FLAC, Ogg, MP3 and more") from error
    return audio.mean(axis=1), sample_rate


def check_can_be_written(path: Path) -> None:
    if path.suffix.lower() not in WRITABLE:
        raise InvalidArgument(f"cannot write audio to {path}; its name must end in one of {', '.join(WRITABLE)}")


def write_mono(path: Path, audio: Array, sample_rate: int) -> None:
    """Write float32 audio in [-1, 1]; the ending of `path` chooses the format."""
    with writing_mono(path, sample_rate) as write:
        write(audio)


@contextmanager
def writing_mono(path: Path, sample_rate: int) -> Generator[Callable[[Array], None]]:
    """As `write_mono`, piece by piece, with what the block is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with soundfile.SoundFile(path, "w", sample_rate, channels=1) as file:
            yield file.write
    except soundfile.LibsndfileError as error:
        raise InvalidArgument(f"cannot write {path}: {error.error_string}") from error
