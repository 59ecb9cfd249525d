"""What SSML's say-as asks for: the words of a text that is read in a given way."""

import re

from convai.text.date_words import MONTHS, clock, date
from convai.text.number_words import cardinal, fraction, number, one_by_one, ordinal, year
from convai.text.web_words import SIGNS

ORDERS = {"mdy": (0, 1, 2), "dmy": (1, 0, 2), "ymd": (1, 2, 0), "ydm": (2, 1, 0)}  # places of month, day and year
LETTERS = frozenset(("characters", "character", "spell-out", "spell", "verbatim", "letters"))


def say_as(text: str, kind: str, layout: str = "") -> str:
    """`text` as `kind` of say-as reads it; as it is where the kind is unknown or the text does not fit it."""
    text = text.strip()
    kind = kind.removeprefix("vxml:")
    if kind == "number" and layout in ("cardinal", "digits", "fraction", "ordinal", "telephone", "year"):
        kind = layout
    digits = re.sub(r"[^\d]", "", text)
    if kind in LETTERS:
        return spell_characters(text)
    if kind == "digits" and digits:
        return spell_characters(re.sub(r"[\s,.-]", "", text))
    if kind in ("telephone", "phone") and digits:
        words = ", ".join(map(one_by_one, re.findall(r"\d+", text)))
        return f"plus {words}" if text.startswith("+") else words
    if kind in ("cardinal", "number") and re.fullmatch(r"[-+]?\d[\d, ]*(?:\.\d+)?|[-+]?\.\d+", text):
        sign = {"-": "minus ", "+": "plus "}.get(text[0], "")
        plain = text.lstrip("+-").replace(" ", "").replace(",", "")
        return sign + (number(plain) if "." in plain else cardinal(plain.lstrip("0") or "0", grouped=True))
    if kind == "ordinal" and digits:
        return ordinal(digits)
    if kind == "fraction" and (parts := re.fullmatch(r"(?:(\d+)[ +]+)?(\d+)/(\d+)", text)):
        words = fraction(parts[2], parts[3])
        return f"{cardinal(parts[1])} and {words}" if parts[1] else words
    if kind == "date":
        return _say_date(text, layout) or text
    if (
        kind == "time"
        and (parts := re.fullmatch(r"(\d{1,2}):(\d{2})(.*)", text, re.DOTALL))
        and not parts[3].startswith(":")
    ):
        return clock(parts[1], parts[2]) + re.sub(r"^\s?([ap])\.?m\b\.?", r" \1 m", parts[3], flags=re.IGNORECASE)
    if kind == "year" and len(digits) == 4:
        return year(int(digits))
    return text


def spell_characters(text: str) -> str:
    """Every letter, digit and sign of a text, one after the other."""
    return " ".join(
        one_by_one(c) if c.isdecimal() and c.isascii() else SIGNS.get(c, c.lower()) for c in text if not c.isspace()
    )


def _say_date(text: str, layout: str) -> str | None:
    parts = re.findall(r"\d+", text)
    order = layout.replace("yyyy", "y").replace("mm", "m").replace("dd", "d")
    order = re.sub(r"[^mdy]", "", order)
    if len(parts) == 1 and len(parts[0]) == 8:
        parts = [parts[0][:4], parts[0][4:6], parts[0][6:]]
        order = order or "ymd"
    if len(parts) == 3 and re.fullmatch(r"[\d\s./-]+", text):
        if order not in ORDERS:
            order = "ymd" if len(parts[0]) == 4 else "mdy"
        month, day, full = (parts[place] for place in ORDERS[order])
        return date(month, day, full)
    if len(parts) == 1 and order == "d" and 1 <= int(parts[0]) <= 31:
        return ordinal(parts[0])
    if len(parts) == 1 and order == "m" and 1 <= int(parts[0]) <= 12:
        return MONTHS[int(parts[0]) - 1]
    if len(parts) == 2 and order in ("md", "dm"):
        month, day = parts if order == "md" else parts[::-1]
        return f"{MONTHS[int(month) - 1]} {ordinal(day)}" if 1 <= int(month) <= 12 and 1 <= int(day) <= 31 else None
    if len(parts) == 2 and order in ("my", "ym"):
        month, full = parts if order == "my" else parts[::-1]
        return f"{MONTHS[int(month) - 1]} {year(int(full))}" if 1 <= int(month) <= 12 else None
    return None
