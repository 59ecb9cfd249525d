"""The error class for invalid requests and arguments. Any other exception is a bug in convai."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class InvalidArgument(ValueError):
    """A request, an argument or a configuration is invalid; the message says what was expected and what was got.

    The message is shown to the caller as it is: the client of a step, the user of a function, or the person who typed
    the command. It holds nothing internal, such as a path of the server.

    It is a ValueError, so programs that use convai as a library can catch the standard class. Code in convai must catch
    InvalidArgument, because NumPy and others raise ValueError for bugs of ours.
    """


@contextmanager
def reading(file: Path, kind: str) -> Generator[None]:
    """Convert any error while the body reads `file` into InvalidArgument: the file is not a valid `kind`.

    Only the reading belongs inside, or a bug would be blamed on the file. OSError passes: its message is clear.
    """
    try:
        yield
    except (InvalidArgument, OSError):
        raise
    except Exception as error:  # each file format has its own errors, and many libraries raise unrelated ones
        raise InvalidArgument(f"{file} is not a valid {kind}: {type(error).__name__}: {error}") from error


def refuse_folder_in_use(folder: Path) -> None:
    """Raise InvalidArgument if `folder` exists and is not an empty folder."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InvalidArgument(f"{folder} exists and is not empty; name another folder, or remove it")
