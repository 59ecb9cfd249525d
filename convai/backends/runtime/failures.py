"""What a caller is told when a step fails: the step's name and the reason, never where it lives on the server."""

import re

from convai.errors import InvalidArgument

MAX_CHARACTERS = 400  # of a message that may repeat what the caller sent
# Two or more components, so that "and/or" and a lone "/" in a user's message stay as they are.
ABSOLUTE_PATH = re.compile(r"(?<![\w/:])(?:/[^\s/'\",:;()\[\]]+)+/([^\s/'\",:;()\[\]]*)")


def mistake(step: str, error: InvalidArgument) -> str:
    """The text for a request that asks for something that is not allowed."""
    return f"{step}: {without_paths(str(error))[:MAX_CHARACTERS]}"


def internal_error(step: str, error: BaseException) -> str:
    """The text for a failure of our own: its kind alone, since its message was written for us."""
    return f"{step}: internal error ({type(error).__name__})"


def without_paths(text: str) -> str:
    """`text` with every absolute path cut down to its last component."""
    return ABSOLUTE_PATH.sub(r"\1", text)
