"""What a caller is told when a step fails: the step's name and the reason, never where it lives on the server."""

import re

MAX_CHARACTERS = 400
# Two or more components, so that "and/or" and a lone "/" in a user's message stay as they are.
ABSOLUTE_PATH = re.compile(r"(?<![\w/:])(?:/[^\s/'\",:;()\[\]]+)+/([^\s/'\",:;()\[\]]*)")


def user_mistake(step: str, error: ValueError) -> str:
    """The text for a request that asks for something that is not allowed."""
    return f"{step}: {without_paths(str(error))}"


def internal_error(step: str, error: BaseException) -> str:
    """The text for a failure of our own: its kind alone, since its message was written for us."""
    return f"{step}: internal error ({type(error).__name__})"


def engine_error(step: str, error: BaseException) -> str:
    """The text for a network that could not run."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    # TorchScript lists its code first and gives the reason last; ONNX Runtime gives only the reason.
    reason = lines[-1] if any("Traceback" in line for line in lines) else " ".join(lines)
    return f"{step}: the network failed: {without_paths(reason)[:MAX_CHARACTERS]}"


def without_paths(text: str) -> str:
    """`text` with every absolute path cut down to its last component."""
    return ABSOLUTE_PATH.sub(r"\1", text)
