"""Error texts for callers: the step's name and the reason, without paths of the server."""

import re

from convai.errors import InvalidArgument

MAX_CHARACTERS = 400  # of a message that may repeat what the caller sent
# Two or more components, so that "and/or" and a lone "/" in a user's message stay as they are.
ABSOLUTE_PATH = re.compile(r"(?<![\w/:])(?:/[^\s/'\",:;()\[\]]+)+/([^\s/'\",:;()\[\]]*)")


class LimitReached(Exception):
    """Too many requests or streams; this one may be sent again."""


def describe_invalid_argument(step: str, error: InvalidArgument) -> str:
    """Text for an invalid request: the error's own message, with absolute paths cut to their last component."""
    message = ABSOLUTE_PATH.sub(r"\1", str(error))
    return f"{step}: {message[:MAX_CHARACTERS]}"


def describe_internal_error(step: str, error: BaseException) -> str:
    """Text for a failure of ours: the error's class alone, since its message was written for us."""
    return f"{step}: internal error ({type(error).__name__})"
