"""Whose mistake it is: what a caller can put right has a class of its own; whatever else is raised is a bug of ours."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class InvalidArgument(ValueError):
    """What was asked, given or configured is not allowed; the message names what was got and what is allowed.

    The caller is whoever sent the request to a step, called the function, or typed the command, and reads the message
    as it is; hence it tells nothing that is only ours.

    A ValueError, because that is what Python's own functions raise then, and what programs that call ours catch.
    The other way round does not hold: NumPy raises ValueErrors too, so nothing of ours may take one for a mistake.
    """


@contextmanager
def reading(file: Path, kind: str) -> Generator[None]:
    """Around the reading of a file that the caller names: whatever shows that it is no `kind` is the caller's mistake.

    Only the reading belongs inside, or a bug would be blamed on the file. A missing file stays an OSError.
    """
    try:
        yield
    except (InvalidArgument, OSError):
        raise
    except Exception as error:  # every format has errors of its own, and many a library raises whatever it trips over
        raise InvalidArgument(f"{file} is no {kind}: {type(error).__name__}: {error}") from error


def refuse_folder_in_use(folder: Path) -> None:
    """Raise InvalidArgument unless `folder` can be made, or is there and empty."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InvalidArgument(f"{folder} exists and is not empty; name another folder, or remove it")
