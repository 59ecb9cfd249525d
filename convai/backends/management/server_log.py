"""Pick out of tritonserver's log what it runs networks with, and why it did not start, or ended."""

import re

# 'E1122 18:47:12.58 13900 model_lifecycle.cc:642] "failed to load ..."', or 'error: creating server: ...' at the end;
# not what our steps log about a single request, from adapter.py.
ERROR = re.compile(
    r'^E\d{4} (?![^\]]*adapter\.py:)[^\]]*\] "?(?P<logged>.*?)"?$|^error: (?P<printed>.*)$', re.MULTILINE
)
NETWORK = re.compile(r"^network (.+)$", re.MULTILINE)  # as an engine announces one
TRACEBACK = r"\n\nAt:"  # as the log spells line breaks
HARMLESS = ("CudaDriverHelper", "unable to create stream")  # what Triton says on any machine without a GPU
MOST_LINES = 10


def reasons(log: str) -> str:
    """The errors in the log, one a line; those about models alone if there are any, since the rest follow from them."""
    errors = [match["logged"] or match["printed"] for match in ERROR.finditer(log)]
    errors = [error.partition(TRACEBACK)[0] for error in errors if not any(text in error for text in HARMLESS)]
    of_models = [error for error in errors if error.startswith(("failed to load", "Poll failed"))]
    return "\n".join(list(dict.fromkeys(of_models or errors))[-MOST_LINES:]) or "its log holds no error"


def networks(log: str) -> list[str]:
    """What each network runs on and in which precision, one line per network whatever its number of processes."""
    announced = {line.partition(":")[0]: line.partition("; ")[0] for line in NETWORK.findall(log)}
    return [announced[name] for name in sorted(announced)]
