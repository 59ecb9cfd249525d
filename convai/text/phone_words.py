"""Words of telephone numbers, which are read digit by digit in groups."""

import re

from convai.text.number_words import cardinal, one_by_one, replace

_EXTENSION = r"(?:,?\s?(?:x|ext\.?|extension)\s?(\d{1,6}))?"
_with_area = re.compile(
    rf"(?<![\w(.-])(?:(\+?)(1)[ .-]?)?\((\d{{2,5}})\)\s?(\d{{3,4}})[ .-]?(\d{{3,4}})(?![\w/]|-\d){_EXTENSION}",
    re.IGNORECASE,
)
_international = re.compile(
    rf"(?<![\w+])\+([1-9]\d{{0,2}})((?:(?:[ .-]\(?| ?\()\d{{1,8}}\)?){{2,6}})(?![\w/]|[.-]\d){_EXTENSION}",
    re.IGNORECASE,
)
_north_american = re.compile(
    rf"(?<![\w+.,-])(?:(1)[ .-])?([2-9]\d{{2}})([ ./-])(\d{{3}})([ .-])(\d{{4}})(?![\w/]|[.-]\d){_EXTENSION}",
    re.IGNORECASE,
)
_british = re.compile(r"(?<![\w+.,-])(0\d{2,4})([ -])(\d{3,4})(?:[ -](\d{3,4}))?(?![\w/]|[ .-]\d)")
_mobile = re.compile(r"(?<![\w+.,-])(0\d{4}) (\d{6})(?![\w/]|[ .-]\d)")
_trunk = re.compile(r"(?<=\+\d\d) ?\(0\) ?(?=\d)")
_toll_free = re.compile(r"(?<![\w-])1-(8\d\d)-(?=[A-Z])")
_card = re.compile(r"(?<![\d-])\d{4}(?: \d{4}){3}(?! ?\d)")
_serial = re.compile(r"(?<=ISSN )(\d{4})-(\d{3})([\dX])(?!\w)")
_hardware = re.compile(r"(?<![\w:])(?=[\d:]*[A-Fa-f])(?:[\dA-Fa-f]{2}:){2,7}[\dA-Fa-f]{2}(?![\w:])")
_dialled = re.compile(r"(?<=\b[Cc]all )\d{5,}(?!\w)|(?<=\b[Tt]ext )\d{5,}(?!\w)|\b[Ee]xt\. (\d{3,6})(?!\w)")
_local = re.compile(rf"(?<![\w+.,$£€-])([2-9]\d{{2}})-(\d{{4}})(?![\w/%]|[.-]\d){_EXTENSION}", re.IGNORECASE)
_emergency = re.compile(
    r"(?<=\b[Cc]all )(?:911|999|112|311|411|988|101|111)(?!\w)|(?<=\b[Dd]ial )\d{3}(?!\w)"
    r"|(?<!\w)911(?= (?:call|operator|dispatch))"
)
_state_and_zip = re.compile(r"(?:(?<=, [A-Z]{2} )|(?<=\b(?:ZIP|Zip|zip) ))(\d{5})(?:-(\d{4}))?(?![\w-])")


def say_telephone_numbers(text: str) -> str:
    """Replace telephone numbers, and American postcodes after a state."""
    text = replace(_hardware, lambda match: ", ".join(map(_spell, match[0].split(":"))), text)
    text = replace(_card, lambda match: ", ".join(map(one_by_one, match[0].split())), text)
    text = replace(_serial, lambda match: f"{one_by_one(match[1])}, {_spell(match[2] + match[3])}", text)
    text = replace(_toll_free, lambda match: f"one, {cardinal(match[1])}, ", text)
    text = _trunk.sub(" ", text)
    text = replace(_with_area, lambda match: _say(match.groups()[1:5], match[6], plus=match[1] == "+"), text)
    text = replace(_international, _say_international, text)
    text = replace(_north_american, lambda match: _say((match[1], match[2], match[4], match[6]), match[7]), text)
    text = replace(_mobile, lambda match: _say((match[1], match[2]), None), text)
    text = replace(_british, lambda match: _say((match[1], match[3], match[4]), None), text)
    text = replace(_local, _say_local, text)
    text = replace(_state_and_zip, lambda match: _say((match[1], match[2]), None), text)
    text = replace(
        _dialled, lambda match: f"extension {one_by_one(match[1])}" if match[1] else one_by_one(match[0]), text
    )
    return replace(_emergency, lambda match: one_by_one(match[0]), text)


def _spell(code: str) -> str:
    return " ".join(one_by_one(character) if character.isdecimal() else character.lower() for character in code)


def _say(groups: tuple[str | None, ...], extension: str | None, plus: bool = False) -> str:
    words = ", ".join(one_by_one(group) for group in groups if group)
    return f"{'plus ' if plus else ''}{words}{f', extension {one_by_one(extension)}' if extension else ''}"


def _say_international(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match[2])
    if sum(map(len, groups)) < 6:
        return match[0]
    return _say((match[1], *groups), match[3], plus=True)


def _say_local(match: re.Match[str]) -> str:
    area, line = match[1], match[2]
    is_year = area not in ("555", "800") and 1000 <= int(line) <= 2100
    is_range = is_year or (area[-1] == "0" and line[-1] == "0" and line[0] != "0" and area != "800")
    return match[0] if is_range else _say((area, line), match[3])
