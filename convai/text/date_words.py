"""Words of dates, times of day and decades."""

import re

from convai.text.number_words import cardinal, one_by_one, ordinal, plural_number, replace, year

MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
DAYS = {"Mon": "monday", "Tue": "tuesday", "Tues": "tuesday", "Wed": "wednesday", "Thu": "thursday", "Thur": "thursday",
        "Thurs": "thursday", "Fri": "friday", "Sat": "saturday", "Sun": "sunday"}  # fmt: skip
COUNTED = (
    "people|men|women|children|times|percent|hundred|thousand|million|billion|years|months|weeks|days|hours|minutes"
)

_month_names = "|".join([name.title() for name in MONTHS] + [name.upper() for name in MONTHS])
_short = "Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec"
_MONTH = rf"(?<!\w)((?:{_month_names})(?!\w)|(?:{_short})(?:\.|(?!\w)))"
_DAY = r"(0?[1-9]|[12]\d|3[01])"
_day_ends = rf"(?:st|nd|rd|th)?(?![\w%$°]|[.,:/]\d|-\d| ?(?:{COUNTED})(?!\w))"
_YEAR = r"([12]\d{3})"

_day_names = "|".join(DAYS)
_weekdays = re.compile(rf"(?<![\w.])({_day_names})\.?\s?[-\u2013]\s?({_day_names})(?!\w)\.?")
_weekday = re.compile(
    rf"(?<!\w)({_day_names})(?:\.(?=,| \d| (?:{_month_names}|{_short})\b)|(?=,? (?:{_month_names}|{_short})\b|,? \d))"
)
_digit = re.compile(r"\d")
_year_first = re.compile(
    r"(?<![\w.,/-])([12]\d{3})([-/.])(0?[1-9]|1[0-2])\2(0?[1-9]|[12]\d|3[01])(?:(T)(?=\d)|(?![\w/-]|\.\d))"
)
_year_last = re.compile(r"(?<![\w.,/-])(\d{1,2})([-/.])(\d{1,2})\2([12]\d{3}|(?<=/)\d{2}|(?<=\.)\d{2})(?![\w/-]|\.\d)")
_named_month = re.compile(  # 14-Mar-2015
    rf"(?<![\w-]){_DAY}-({_short}|{_month_names})-((?:[12]\d)?\d\d)(?![\w-])"
)
_month_of_year = re.compile(r"(?<![\w.,/$-])(0?[1-9]|1[0-2])/((?:19|20)\d\d)(?![\w/-]|[.,]\d)")
_any_month = rf"(?:{_month_names}|{_short})"
_months = re.compile(rf"(?<!\w)(\d\d? )?({_any_month})\.?\s?[-\u2013]\s?(?=(?:\d\d? )?{_any_month}(?!\w))")
_to_month = re.compile(rf"({_any_month}\.? (?:[12]\d{{3}}|\d\d?(?:st|nd|rd|th)?))\s?[-\u2013]\s?(?={_any_month}\.? \d)")
_month_of = re.compile(rf"({_any_month})-(?=[12]\d{{3}}(?![\w-]))")
_to_present = re.compile(
    r"(?<=\d)\s?[-\u2013]\s?(?=present(?!\w))|(?:(?<=m\.)|(?<=\dm))\s?[-\u2013]\s?(?=noon|midnight)|(?:(?<=noon)|(?<=midnight))\s?[-\u2013]\s?(?=\d)"
)
_era = re.compile(r"(?<![\w.])AD(?= \d)|(?<=\d )AD(?!\w)")
_short_year = re.compile(r"(?<!\w)['\u2019](?=\d\d(?![\w'\u2019]))")
_year_and_month = re.compile(r"(?<![\w.,/$-])(1[5-9]\d{2}|20\d{2})-(0[1-9]|1[0-2])(?![\w/-]|[.,]\d)")
_month_and_day = re.compile(r"(?<=\bon )(0?[1-9]|1[0-2])/(1[3-9]|2\d|3[01])(?![\d/])")
_month_day = re.compile(
    rf"{_MONTH} {_DAY}(?:(?:st|nd|rd|th)?\s?[-\u2013]\s?{_DAY})?{_day_ends}(?:,? (?:of )?{_YEAR}(?!\w|[.,]\d))?"
)
_day_month = re.compile(
    rf"(?<![\w.,:/$-])(the |(?<=a )|(?<=an )|(?<='s )|(?<=his )|(?<=her )|(?<=this ))?"
    rf"(?:{_DAY}(?:st|nd|rd|th)?\s?[-\u2013]\s?)?{_DAY}(?:st|nd|rd|th)? (of )?{_MONTH}(?:,? {_YEAR}(?!\w|[.,]\d))?"
)
_month_year = re.compile(rf"{_MONTH}(?=,? (?:of )?[12]\d{{3}}(?!\w))")
_clock = re.compile(r"(?<![\w:.])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d)(?:[.,](\d{1,6}))?)?(Z)?(?:h(?!\w)|(?![\w:]))")
_dotted_clock = re.compile(r"(?<![\w.,:])(1?\d)\.([0-5]\d)(?= ?[ap]\.?m(?!\w))", re.IGNORECASE)
_military = re.compile(r"(?<!\w)0([1-9])00(?= hours)")
_verse = re.compile(
    r"\b(Genesis|Gen\.|Exodus|Leviticus|Numbers|Deuteronomy|Joshua|Judges|Samuel|Kings|Chronicles|Job|Psalms?|Ps\.|Proverbs"
    r"|Isaiah|Jeremiah|Ezekiel|Daniel|Matthew|Matt\.|Mark|Luke|John|Acts|Romans|Corinthians|Galatians|Ephesians|Philippians"
    r"|Hebrews|James|Peter|Revelation|Rev\.) (\d{1,3}):(?=\d)"
)
_standard = re.compile(r"(?<=\d\d\d\d):(?=(?:19|20)\d\d(?!\d))")  # ISO 9001:2015
_half_of_day = re.compile(r"(?<=\d) ?([ap])(?:\.m\.|\.?m(?!\w))", re.IGNORECASE)
_hours = re.compile(r"(?:(?<=[ap] m)|(?<=:\d\d))\s?[-\u2013]\s?(?=\d)|(?<=\d)\s?[-\u2013]\s?(?=\d{1,2}:\d\d)")
_ratio = re.compile(r"(?<![\d:.])(\d+):(?=\d+(?![\d:]))")
_decades = re.compile(r"(?:(?<=\d)|(?<=\ds))\s?[-\u2013]\s?(?='?(?:\d\d)?\d0'?s(?!\w))")
_decade = re.compile(r"(?<![\dm])(?<!\dm )(?:'?(\d0)|(\d{2})(\d0))'?s(?!\w)")


def say_dates(text: str) -> str:
    """Replace dates and decades. Of two days that may be the month, the first is, as in the United States."""
    text = _weekdays.sub(lambda match: f"{DAYS[match[1]]} to {DAYS[match[2]]}", text)
    if not _digit.search(text):
        return text
    text = _weekday.sub(lambda match: DAYS[match[1]], text)
    text = replace(_year_first, lambda match: _date(match[3], match[4], match[1]) + (", " if match[5] else ""), text)
    text = replace(_year_last, _say_year_last, text)
    text = replace(_year_and_month, _say_year_and_month, text)
    text = replace(_named_month, lambda match: _date(str(MONTHS.index(_month(match[2])) + 1), match[1], match[3]), text)
    text = replace(_month_of_year, lambda match: f"{MONTHS[int(match[1]) - 1]} {year(int(match[2]))}", text)
    if "-" in text or "\u2013" in text:
        text = _months.sub(lambda match: f"{match[1] or ''}{_month(match[2]).title()} to ", text)
        text = _month_of.sub(r"\1 ", _to_month.sub(r"\1 to ", text))
        text = _to_present.sub(" to ", text)
    text = _era.sub("a d", text)
    text = replace(_month_and_day, lambda match: f"{MONTHS[int(match[1]) - 1]} {ordinal(match[2])}", text)
    text = replace(_month_day, _say_month_day, text)
    text = replace(_day_month, _say_day_month, text)
    text = replace(_month_year, lambda match: _month(match[1]), text)
    return _short_year.sub("", replace(_decade, _say_decade, _decades.sub(" to ", text)))


def say_times(text: str) -> str:
    """Replace times of day and ratios, which have a colon too."""
    text = _dotted_clock.sub(r"\1:\2", text)
    text = replace(_military, lambda match: f"oh {cardinal(match[1])} hundred", text)
    text = _standard.sub(" ", _verse.sub(r"\1 \2 ", text))
    text = _half_of_day.sub(lambda match: f" {match[1].lower()} m", text)
    text = _hours.sub(" to ", text)
    text = replace(_clock, _say_clock, text)
    return _ratio.sub(r"\1 to ", text)


def date(month: str, day: str, year_digits: str) -> str | None:
    """Words of a date in digits; None if there is no such day. A year of two digits is one from 1970 to 2069."""
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    return _date(month, day, year_digits)


def _date(month: str, day: str, year_digits: str) -> str:
    full = int(year_digits)
    if len(year_digits) == 2:
        full += 2000 if full < 70 else 1900
    return f"{MONTHS[int(month) - 1]} {ordinal(day)}, {year(full)}"


def _say_year_last(match: re.Match[str]) -> str:
    first, mark, second, full = match[1], match[2], match[3], match[4]
    orders = [(second, first), (first, second)] if mark == "." else [(first, second), (second, first)]
    return next(filter(None, (date(month, day, full) for month, day in orders)), match[0])


def _say_year_and_month(match: re.Match[str]) -> str:
    if int(match[2]) == int(match[1][2:]) + 1:  # the year 2006 to 2007
        return match[0]
    return f"{MONTHS[int(match[2]) - 1]} {year(int(match[1]))}"


def _month(name: str) -> str:
    return next(month for month in MONTHS if month.startswith(name[:3].lower()))


def _say_month_day(match: re.Match[str]) -> str:
    name, day, last_day, full = match.groups()
    words = f"{_month(name)} {ordinal(day)}"
    if last_day:
        words += f" to {ordinal(last_day)}"
    return f"{words}, {year(int(full))}" if full else words


def _say_day_month(match: re.Match[str]) -> str:
    article, first_day, day, _, name, full = match.groups()
    days = f"{ordinal(first_day)} to {ordinal(day)}" if first_day else ordinal(day)
    words = f"{'the ' if article is None else article}{days} of {_month(name)}"
    return f"{words}, {year(int(full))}" if full else words


def _say_clock(match: re.Match[str]) -> str:
    hour, minute, second, fraction, is_universal = match.groups()
    words = clock(hour, minute)
    if fraction or int(second or 0):
        name = "second" if second == "01" and not fraction else "seconds"
        words += f" and {cardinal(str(int(second)))}{f' point {one_by_one(fraction)}' if fraction else ''} {name}"
    return words + (" u t c" if is_universal else "")


def clock(hour: str, minute: str) -> str:
    """Words of a time of day."""
    hour = str(int(hour))
    if minute == "00":
        return f"{cardinal(hour)} o'clock" if 1 <= int(hour) <= 12 else f"{cardinal(hour)} hundred"
    return f"{cardinal(hour)} {'oh ' + cardinal(minute[1]) if minute[0] == '0' else cardinal(minute)}"


def _say_decade(match: re.Match[str]) -> str:
    century = match[2]
    if century and match[3] == "00":
        return f"{year(int(century + '00'))}s"
    decade = cardinal(match[1] or match[3]) if (match[1] or match[3]) != "00" else "two thousand"
    decade = plural_number(decade)
    return f"{cardinal(century)} {decade}" if century else decade
