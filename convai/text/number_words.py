"""Words of numbers: cardinals, ordinals, years, decimals, fractions, ranges, and digits one by one."""

import re
from collections.abc import Callable
from functools import lru_cache

from num2words import num2words

MAX_CARDINAL_DIGITS = 9  # more digits in a row are an identifier, which is read digit by digit
MAX_GROUPED_DIGITS = 36
NAMED_DENOMINATORS = frozenset((*range(2, 21), 24, 25, 30, 32, 36, 40, 48, 50, 60, 64, 80, 90, 100, 128, 1000))
READ_IN_HALVES = {"24/7": "twenty-four seven", "9/11": "nine eleven", "20/20": "twenty twenty", "50/50": "fifty fifty"}

# Every pattern begins where a number begins; otherwise a long row of digits is scanned once per digit.
WHOLE = r"(?<!\d)(?:\d{1,3}(?:,\d{3}){1,40}(?!\d)|\d+)"
LEADING_POINT = r"(?<![\w.)\]])\.\d+"
NUMBER = rf"(?:{WHOLE}(?:\.\d+)?|{LEADING_POINT})"
DIGITS = r"(?:(?:\d{1,3}(?:,\d{3}){1,40}(?!\d)|\d+)(?:\.\d+)?|\.\d+)"  # a number after a sign or letters

_article = re.compile(r"(?<![\w.])[Aa]n? $")
_noun = re.compile(r"[ -][a-z]")
_indian_groups = re.compile(r"(?<![\d,.])\d{1,2}(?:,\d{2}){1,18},\d{3}(?![\d,])")
_comma_of_euros = re.compile(r"(?:(?<=€\d)|(?<=€\d\d)|(?<=€\d{3})),(?=\d\d(?!\d))|(?<=\d),(?=\d\d\s?€)")
_comma_decimal = re.compile(
    r"(?<![\d,.])(\d+),(?=\d{1,2}\s?(?:%|°C|km|cm|mm|kg|m|g|mg|l|L|ml|kWh|Prozent)(?!\w))|(?<![\d,.])(0),(?=\d+(?![,\d]))"
)
_narrow_space = re.compile(r"(?<=\d)[\u00a0\u2007\u2009\u202f](?=\d{3}(?!\d))")
_space_groups = re.compile(
    r"(?<![\d+,.)-])(?<!\d )[1-9]\d{0,2}"
    r"(?:(?: \d{3}){2,12}|(?: 000)| \d{3}(?=[,.]\d\d\s?€))(?:,\d{1,2})?(?![ -]?\d|\.\d(?!\d\s?€))"
)
_one_space_group = re.compile(
    r"(^|\b(?:about|around|is|nearly|of|over|than|the|was|were|with) )"
    r"([1-9]\d{0,2}) (\d{3})(?= (?:km|m|kg)\b| [a-z]{3})"
)
_marked_groups = re.compile(
    r"(?<![\w.,'])[1-9]\d{0,2}(?:(?:'\d{3}){1,12}|(?:_\d{3}){1,12}|(?:\.\d{3}){2,12}|\.\d{3}(?=,\d\d(?!\d)))(?:,\d{1,2})?(?![.,'\w])"
)
_address = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)")
_dotted = re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}")
_dot_between = re.compile(r"(?<=[A-Za-z])\.(?=\d)")
_chain = re.compile(r"(?<![\d-])\d+(?:-\d+){2,}")
_negative_fraction = re.compile(r"(?<![\w)\]%-])(?<!\d )-(?=(?:\d+ )?\d+/\d)")
_en_dash = re.compile(r"(?<=[\d%°])\s?\u2013\s?(?=[-.]?\d)")
_fraction = re.compile(
    r"(?<![\d/.,])(?:(\d{1,9})[ -])?(\d{1,4})/(1(?:,000){1,3}|\d{1,4})(?:(?:th|rd|nd|st)s?(?!\w))?(?![\d/]|\.\d|,\d)"
)
_out_of = re.compile(
    r"(?<![\d/.,])(\d+\.\d+)/(?=(?:[4-9]|10|20|100)(?![\d/.]))|(?<![\d/.,])(5|10|100)/(?=\2(?![\d/.]))"
    r"|(?<=page )(\d+)/(?=\d)|(?<=part )(\d+)/(?=\d)|(?<=step )(\d+)/(?=\d)",
    re.IGNORECASE,
)
_measure = re.compile(r"(?<![\d/.,])(\d{1,2})/(\d{1,2})(?= time\b)")  # 6/8 time
_one_part = re.compile(r"^one(?= (?:half|third|quarter)$)")
_airliner = re.compile(r"(?<!\d)(7\d7)-(?=(?:[1-9]00|8|9|10)(?!\d))")
_join = re.compile(r"(?<=[\d%°])(\s?)([-\u2013])(\s?)(?=\.?\d)")
_numbered = re.compile(r"\b(?:i s o|i e c|Room|room|Suite|suite|apartment|Unit) $")
_contest = re.compile(r"\b(?:won|lost|beat|led|lead|score|by|was) $")
_result = re.compile(r" (?:win|loss|lead|victory|defeat|vote|record|B\.?C)")
_percent = re.compile(rf"({NUMBER})\s?%")
_ordinal = re.compile(r"(?<!\d)(\d{1,3}(?:,\d{3}){1,40}|\d+)(?:st|nd|rd|th)(s?)(?!\w)", re.IGNORECASE)
_ordinals = re.compile(r"(?<=\d(?:st|nd|rd|th))\s?[-\u2013]\s?(?=\d+(?:st|nd|rd|th))")
_plural = re.compile(r"(?:(?<=[A-Z]-)|(?<=[Tt]he (?=\d{3})))(\d+)s(?!\w)")  # F-16s, the 747s
_sign = re.compile(r"(?<![\w)\]-])([+-])\s?(?=\.?\d)")
_letter_and_digit = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
_number = re.compile(NUMBER)


def replace(pattern: re.Pattern[str], say: Callable[[re.Match[str]], str], text: str) -> str:
    """Replace every match by its words, set apart by a space where a letter or digit would touch them."""

    def set_apart(match: re.Match[str]) -> str:
        words = say(match)
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        before_space = " " if words[:1].isalnum() and (before.isalnum() or before in (".", "%")) and before else ""
        return before_space + words + (" " if words[-1:].isalnum() and after.isalnum() else "")

    return pattern.sub(set_apart, text)


def is_attributive(match: re.Match[str]) -> bool:
    """Whether an amount stands between an article and a noun, so that its unit is singular: a 5 kg bag."""
    text = match.string
    return bool(_article.search(text[max(0, match.start() - 4) : match.start()])) and bool(
        _noun.match(text[match.end() : match.end() + 2])
    )


def group_thousands(text: str) -> str:
    """Write numbers whose thousands are grouped in another way, such as 1 000 000 or 12,34,567, with commas."""
    text = _narrow_space.sub(",", text)
    text = _comma_decimal.sub(lambda match: f"{match[1] or match[2]}.", text)
    text = _one_space_group.sub(r"\1\2,\3", text)
    text = _indian_groups.sub(lambda match: f"{int(match[0].replace(',', '')):,}", text)
    text = _marked_groups.sub(_regroup, _space_groups.sub(_regroup, text))
    return _comma_of_euros.sub(".", text)


def _regroup(match: re.Match[str]) -> str:
    whole, _, decimals = match[0].partition(",")
    if _is_address(whole):
        return match[0]
    return re.sub(r"\D", ",", whole) + (f".{decimals}" if decimals else "")


def _is_address(dotted: str) -> bool:
    """Whether `dotted` is an IPv4 address."""
    parts = dotted.split(".")
    return len(parts) == 4 and all(str(int(part)) == part and int(part) < 256 for part in parts)


def say_dotted(text: str) -> str:
    """Replace IPv4 addresses and version numbers."""
    text = replace(
        _address,
        lambda match: " dot ".join(map(cardinal, match[0].split("."))) if _is_address(match[0]) else match[0],
        text,
    )
    return replace(_dotted, lambda match: " point ".join(map(cardinal, match[0].split("."))), text)


def say_plurals(text: str) -> str:
    """Replace names that are numbers, of which there are several."""
    return replace(_plural, lambda match: plural_number(number(match[1])), text)


def plural_number(words: str) -> str:
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}{'es' if words.endswith('x') else 's'}"


def say_numbers(text: str) -> str:
    """Replace every number that is left, with its sign or suffix."""
    text = say_dotted(text)
    text = _dot_between.sub(" dot ", text)
    text = replace(_chain, lambda match: ", ".join(map(one_by_one, match[0].split("-"))), text)
    text = _en_dash.sub(" to ", text)
    if "/" in text:
        text = _negative_fraction.sub("minus ", text)
        text = _out_of.sub(lambda match: f"{match[0][:-1]} {'out of' if match[1] or match[2] else 'of'} ", text)
        text = _measure.sub(r"\1 \2", text)
        text = replace(_fraction, _say_fraction, text)
    text = _airliner.sub(r"\1 ", text)
    text = _join.sub(_say_join, text)
    text = _percent.sub(r"\1 percent", text)
    text = replace(_ordinal, lambda match: ordinal(match[1]) + match[2], _ordinals.sub(" to ", text))
    text = _sign.sub(lambda match: " plus " if match[1] == "+" else "minus ", text)
    text = _letter_and_digit.sub(" ", text)
    return replace(_number, lambda match: number(match[0]), text)


def number(digits: str) -> str:
    """Words of one number: `digits` is a whole or decimal number, perhaps with commas between thousands."""
    whole, _, decimals = digits.replace(",", "").partition(".")
    if decimals:
        return f"{cardinal(whole, grouped=True)} point {one_by_one(decimals)}".lstrip()
    if "," not in digits and len(whole) == 4 and 1000 < int(whole) < 3000:
        return year(int(whole))
    return cardinal(whole, grouped="," in digits)


@lru_cache(4096)
def cardinal(digits: str, grouped: bool = False) -> str:
    """Words of a whole number; digit by digit if it has a leading zero or, not being `grouped`, is very long."""
    longest = MAX_GROUPED_DIGITS if grouped else MAX_CARDINAL_DIGITS
    if len(digits) > longest or digits[:1] == "0" != digits:
        return one_by_one(digits)
    return _american(num2words(int(digits))) if digits else ""


@lru_cache(512)
def ordinal(digits: str) -> str:
    """Words of a whole number with st, nd, rd or th after it."""
    digits = digits.replace(",", "")
    if len(digits) > MAX_GROUPED_DIGITS:
        return one_by_one(digits)
    return _american(num2words(int(digits), to="ordinal"))


@lru_cache(512)
def year(number: int) -> str:
    """Words of a four-digit number as years are read: 1905 is nineteen oh five, 2005 two thousand five."""
    if number % 1000 < 10:
        return _american(num2words(number))
    return _american(num2words(number, to="year")).replace("oh-", "oh ")


def one_by_one(digits: str) -> str:
    """Words of each digit in turn."""
    return " ".join(cardinal(str(int(digit))) for digit in digits)


def _american(words: str) -> str:
    return words.replace(" and ", " ").replace(",", "")


def fraction(numerator: str, denominator: str) -> str:
    """Words of a fraction: 7/8 is seven eighths, 120/80 one hundred twenty over eighty."""
    above, below = int(numerator), int(denominator)
    if f"{above}/{below}" in READ_IN_HALVES:
        return READ_IN_HALVES[f"{above}/{below}"]
    if len(numerator) == 4 and above < 3000:  # the years 1983/1984 or 2014/15
        return f"{number(numerator)} {number(denominator)}"
    if above == 1 and below in (1000, 1_000_000):
        return f"one {ordinal(denominator).removeprefix('one ')}"
    is_named = below in NAMED_DENOMINATORS or (above == 1 and 2 <= below <= 100)
    if not is_named or above >= below > 10 or denominator[0] == "0":
        return f"{cardinal(numerator)} over {cardinal(denominator)}"
    name = {2: "half", 4: "quarter"}.get(below) or ordinal(denominator).removeprefix("one ")
    if above != 1:
        name = "halves" if below == 2 else f"{name}s"
    return f"{cardinal(str(above))} {name}"


def _say_fraction(match: re.Match[str]) -> str:
    whole, numerator, denominator = match[1], match[2], match[3].replace(",", "")
    if not whole:
        return fraction(numerator, denominator)
    if int(numerator) >= int(denominator):  # not one mixed number but two numbers side by side
        return f"{number(whole)} {fraction(numerator, denominator)}"
    return f"{number(whole)} and {_one_part.sub('a', fraction(numerator, denominator))}"


def _say_join(match: re.Match[str]) -> str:
    """Say the dash between two numbers: from 5 to 10, 5 minus 3, or 747-400, which is no range."""
    before, dash, after = match.groups()
    left = re.search(r"[\w.,-]*[%°]?$", match.string[max(0, match.start() - 40) : match.start()])
    right = re.match(r"\.?[\d.,]*\d", match.string[match.end() : match.end() + 40])
    if dash == "\u2013" or not left or not right:
        return " to "
    first, second = left[0].strip("%°"), right[0]
    if before and not after:
        return " minus "
    if first == second == "50":
        return " "
    if re.search(r"[A-Za-z]", first):
        return " "
    earlier = match.string[: match.start() - len(left[0])]
    if _numbered.search(earlier[-12:]):
        return " "
    larger, smaller = _value(first), _value(second)
    later = match.string[match.end() + len(second) :][:12]
    if _contest.search(earlier[-12:]) or _result.match(later):
        return " to "
    if before and larger >= smaller:
        return " minus "
    if larger > smaller and len(first) >= 3 and len(second) >= 3 and not len(first) == len(second) == 4:
        return " "
    return " to "


def _value(digits: str) -> float:
    match = re.search(r"\.?\d[\d.,]*$", digits)
    return float(re.sub(r"[^\d.]", "", match[0]).strip(".") or 0) if match else 0.0
