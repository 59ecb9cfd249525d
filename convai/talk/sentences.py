"""Cuts a text that arrives in pieces at the ends of sentences, so that speech begins before the text has ended."""

import re

from convai.text.abbreviations import ABBREVIATIONS
from convai.text.markup import PARAGRAPH_PAUSE_SECONDS, SENTENCE_PAUSE_SECONDS

MAX_CHARACTERS = 4096  # without the end of a sentence; then any space serves
# A word of four or more letters is rarely an abbreviation.
_sentence_end = re.compile(r"""(?:\b([A-Za-z]{4,}+)\.|[!?])["')\]*_”’]*\s++(?![a-z])""")
_emphasis_or_code = re.compile(r"\*+|`+")
_replaced = re.compile(r"<(/?)(?:sub|say-as)\b", re.IGNORECASE)


class SentenceCutter:
    """Keeps the part of a text that cannot be spoken yet."""

    def __init__(self):
        self.rest = ""

    def add(self, text: str) -> str:
        """Take more of the text; return what can be spoken now, up to the last end of a sentence, or nothing."""
        self.rest += text
        ends = [end.end() for end in _sentence_end.finditer(self.rest) if (end[1] or "").lower() not in ABBREVIATIONS]
        cut = ends[-1] if ends and is_closed(self.rest[: ends[-1]]) else 0
        if len(self.rest) - cut > MAX_CHARACTERS:
            cut = self.rest.rfind(" ") + 1 or len(self.rest)
        spoken, self.rest = self.rest[:cut], self.rest[cut:]
        return spoken


def pause_after(part: str) -> float:
    """Return the seconds of silence before the next part, as the server makes them inside of a part."""
    return PARAGRAPH_PAUSE_SECONDS if part.count("\n", len(part.rstrip())) > 1 else SENTENCE_PAUSE_SECONDS


def is_closed(text: str) -> bool:
    """Whether no mark of Markdown, tag or bracket is open at the end of the text; what is cut in two is misread."""
    return (
        len(_emphasis_or_code.findall(text)) % 2 == 0
        and all(text.count(opening) <= text.count(closing) for opening, closing in ("<>", "[]", "()"))
        and sum(-1 if slash else 1 for slash in _replaced.findall(text)) <= 0
    )
