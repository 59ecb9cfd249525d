"""Spells numbers out: years, ordinals, decimals, amounts of money, percentages, times of day."""

import re

from num2words import num2words

CURRENCIES = {  # sign: whole, several, hundredth, several
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
}
FRACTIONS = {"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter", "3/4": "three quarters"}
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
MAX_CARDINAL_DIGITS = 9  # more digits in a row are an identifier, which is read digit by digit
MAX_GROUPED_DIGITS = 36

# Every pattern begins where a number begins; otherwise a long row of digits is scanned once per digit.
NUMBER = r"(?<!\d)(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
_date = re.compile(r"\b([12]\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\b")
_chain = re.compile(r"(?<![\d-])\d+(?:-\d+){2,}")
_dotted = re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}")
_fraction = re.compile(rf"(?<![\d/.])(?:(\d{{1,9}})\s)?({'|'.join(FRACTIONS)})(?![\d/])")
_money = re.compile(
    rf"([{''.join(CURRENCIES)}])\s?({NUMBER})(?:[\s-]?(hundred|thousand|million|billion|trillion)\b)?", re.IGNORECASE
)
_percent = re.compile(rf"({NUMBER})\s?%")
_clock = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b(?::[0-5]\d\b)?")
_range = re.compile(r"(?<=\d)\s?[-\u2013]\s?(?=\d)")
_decade = re.compile(r"(?<!\d)(?:'?(\d0)|(\d{2})(\d0))'?s\b")
_ordinal = re.compile(r"(?<!\d)(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b", re.IGNORECASE)
_minus = re.compile(r"(?<![\w)-])-\s?(?=\d)")
_number = re.compile(NUMBER)
_digit = re.compile(r"\d")


def spell_out_numbers(text: str) -> str:
    """Replace every number in ASCII digits, with its sign or suffix, by words."""
    if not _digit.search(text):
        return text
    text = _date.sub(_say_date, text)
    text = _chain.sub(lambda match: ", ".join(map(one_by_one, match[0].split("-"))), text)
    text = _dotted.sub(lambda match: " point ".join(map(cardinal, match[0].split("."))), text)
    text = _fraction.sub(_say_fraction, text)
    text = _range.sub(" to ", text)
    text = _money.sub(_say_money, text)
    text = _percent.sub(r"\1 percent", text)
    text = _clock.sub(_say_clock, text)
    text = _decade.sub(_say_decade, text)
    text = _ordinal.sub(lambda match: _separate(match, ordinal(match[1])), text)
    text = _minus.sub("minus ", text)
    return _number.sub(lambda match: _separate(match, number(match[0])), text)


def number(digits: str) -> str:
    """Words of one number: `digits` is a whole or decimal number, perhaps with commas between thousands."""
    whole, _, decimals = digits.replace(",", "").partition(".")
    if decimals:
        return f"{cardinal(whole, grouped=True)} point {one_by_one(decimals)}"
    if "," not in digits and len(whole) == 4 and 1000 < int(whole) < 3000:
        return year(int(whole))
    return cardinal(whole, grouped="," in digits)


def cardinal(digits: str, grouped: bool = False) -> str:
    """Words of a whole number; digit by digit if it has a leading zero or, not being `grouped`, is very long."""
    longest = MAX_GROUPED_DIGITS if grouped else MAX_CARDINAL_DIGITS
    if len(digits) > longest or (len(digits) > 1 and digits[0] == "0"):
        return one_by_one(digits)
    return _american(num2words(int(digits)))


def ordinal(digits: str) -> str:
    """Words of a whole number with st, nd, rd or th after it."""
    digits = digits.replace(",", "")
    if len(digits) > MAX_GROUPED_DIGITS:
        return one_by_one(digits)
    return _american(num2words(int(digits), to="ordinal"))


def year(number: int) -> str:
    """Words of a four-digit number as years are read: 1905 is nineteen oh five, 2005 two thousand five."""
    if number % 1000 < 10:
        return _american(num2words(number))
    return _american(num2words(number, to="year")).replace("oh-", "oh ")


def one_by_one(digits: str) -> str:
    """Words of each digit in turn."""
    return " ".join(num2words(int(digit)) for digit in digits)


def _american(words: str) -> str:
    return words.replace(" and ", " ").replace(",", "")


def _separate(match: re.Match[str], words: str) -> str:
    """Add a space on each side of `words` where a letter would touch them, as in 4x4."""
    text, start, end = match.string, match.start(), match.end()
    before = " " if text[start - 1 : start].isalnum() else ""
    return before + words + (" " if text[end : end + 1].isalnum() else "")


def _say_date(match: re.Match[str]) -> str:
    return f"{MONTHS[int(match[2]) - 1]} {ordinal(match[3])}, {year(int(match[1]))}"


def _say_fraction(match: re.Match[str]) -> str:
    words = FRACTIONS[match[2]]
    return f"{match[1]} and {words.replace('one ', 'a ')}" if match[1] else words


def _say_money(match: re.Match[str]) -> str:
    one, several, hundredth, hundredths = CURRENCIES[match[1]]
    amount, scale = match[2], match[3]
    if scale:
        return f"{number(amount)} {scale} {several}"
    whole, _, decimals = amount.replace(",", "").partition(".")
    if len(decimals) not in (0, 2):
        return f"{number(amount)} {several}"
    parts = [_count(whole, one, several), _count(decimals or "0", hundredth, hundredths)]
    return ", ".join(part for part in parts if part) or f"zero {several}"


def _count(digits: str, one: str, several: str) -> str:
    count = digits.lstrip("0")
    return f"{cardinal(count, grouped=True)} {one if count == '1' else several}" if count else ""


def _say_clock(match: re.Match[str]) -> str:
    hour, minute = str(int(match[1])), match[2]
    if minute == "00":
        return f"{cardinal(hour)} o'clock" if 1 <= int(hour) <= 12 else f"{cardinal(hour)} hundred"
    return f"{cardinal(hour)} {'oh ' + cardinal(minute[1]) if minute[0] == '0' else cardinal(minute)}"


def _say_decade(match: re.Match[str]) -> str:
    century = match[2]
    if century and match[3] == "00":
        return f"{year(int(century + '00'))}s"
    decade = cardinal(match[1] or match[3]) if (match[1] or match[3]) != "00" else "two thousand"
    decade = f"{decade[:-1]}ies" if decade.endswith("y") else f"{decade}s"
    return f"{cardinal(century)} {decade}" if century else decade
