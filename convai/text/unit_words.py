"""Words of units of measurement after a number."""

import re

from convai.text.number_words import NUMBER, is_attributive, replace

PREFIXES = {
    "n": "nano", "µ": "micro", "m": "milli", "c": "centi", "d": "deci", "k": "kilo", "M": "mega", "G": "giga",
    "T": "tera", "P": "peta",
}  # fmt: skip
SCALED = {  # symbol: the prefixes in use, and the name of one
    "m": ("nµmck", "meter"), "g": ("nµmk", "gram"), "s": ("nµm", "second"), "L": ("µmcd", "liter"),
    "l": ("µmcd", "liter"), "W": ("mkMGT", "watt"), "Wh": ("kMGT", "watt hour"), "V": ("µmkM", "volt"),
    "Hz": ("kMGT", "hertz"), "J": ("kMG", "joule"), "Pa": ("kMG", "pascal"), "eV": ("kMGT", "electron volt"),
    "Ω": ("mkM", "ohm"), "B": ("kMGTP", "byte"), "b": ("kMGT", "bit"), "bit": ("kMGT", "bit"), "cal": ("k", "calorie"),
    "mol": ("nµm", "mole"), "F": ("nµ", "farad"), "Gy": ("m", "gray"), "Sv": ("µm", "sievert"), "VA": ("kM",
    "volt ampere"),
    "bps": ("kMGT", "bit per second"), "N": ("k", "newton"), "T": ("", "tesla"),
}  # fmt: skip
NAMED = {
    "mA": "milliampere", "µA": "microampere", "kA": "kiloampere", "mAh": "milliampere hour", "Ah": "ampere hour",
    "KB": "kilobyte", "Kbps": "kilobit per second", "KiB": "kibibyte", "MiB": "mebibyte", "GiB": "gibibyte",
    "TiB": "tebibyte", "hPa": "hectopascal", "ha": "hectare", "t": "metric ton", "mcg": "microgram", "mi": "mile",
    "yd": "yard", "yds": "yard", "ft": "foot", "lb": "pound", "lbs": "pound", "oz": "ounce", "gal": "gallon",
    "qt": "quart", "pt": "point", "tsp": "teaspoon", "tbsp": "tablespoon", "mph": "mile per hour",
    "mpg": "mile per gallon", "pts": "point",
    "kph": "kilometer per hour", "kmh": "kilometer per hour", "kt": "knot", "kts": "knot",
    "rpm": "revolution per minute",
    "bpm": "beat per minute", "fps": "frame per second", "dB": "decibel", "dBA": "a weighted decibel",
    "dBm": "decibel milliwatt", "psi": "pound per square inch", "atm": "atmosphere", "mbar": "millibar",
    "mmHg": "millimeter of mercury", "ppm": "part per million", "ppb": "part per billion", "dpi": "dot per inch",
    "ppi": "pixel per inch", "px": "pixel", "lm": "lumen", "lx": "lux", "cd": "candela", "ly": "light year",
    "Nm": "newton meter", "cc": "cubic centimeter", "sq ft": "square foot", "sq. ft.": "square foot",
    "sqft": "square foot", "sq mi": "square mile", "sq. mi.": "square mile", "sq m": "square meter",
    "sq km": "square kilometer", "sq in": "square inch", "sq yd": "square yard", "cu ft": "cubic foot",
    "cu in": "cubic inch", "fl oz": "fluid ounce", "fl. oz.": "fluid ounce", "h": "hour", "hr": "hour", "hrs": "hour",
    "min": "minute", "mins": "minute", "sec": "second", "secs": "second", "yr": "year", "yrs": "year",
    "msec": "millisecond", "usec": "microsecond", "us": "microsecond", "ug": "microgram", "um": "micrometer",
    "°C": "degree celsius", "°F": "degree fahrenheit", "° C": "degree celsius", "° F": "degree fahrenheit",
    "°K": "kelvin", "°": "degree", "hp": "horsepower", "Å": "angstrom", "kgs": "kilogram", "kms": "kilometer",
    "kcals": "kilocalorie", "cu. ft.": "cubic foot", "cu. in.": "cubic inch", "cu. yd.": "cubic yard",
    "mM": "millimolar",
    "µM": "micromolar", "nM": "nanomolar", "mm Hg": "millimeter of mercury", "inHg": "inch of mercury",
    "pF": "picofarad",
    "nmi": "nautical mile", "N·m": "newton meter", "N⋅m": "newton meter", "lb-ft": "pound foot", "ft-lb": "foot pound",
    "ft-lbs": "foot pound", "in²": "square inch", "in³": "cubic inch", "VAC": "volt a c", "VDC": "volt d c",
    "wk": "week",
    "wks": "week", "mos": "month", "gm": "gram", "gms": "gram", "kΩ": "kilohm", "MΩ": "megohm",
}  # fmt: skip
AFTER_SLASH = {
    "s": "second", "h": "hour", "hr": "hour", "min": "minute", "sec": "second", "d": "day", "day": "day", "mo": "month",
    "month": "month", "yr": "year", "year": "year", "wk": "week", "week": "week", "hour": "hour", "minute": "minute",
    "second": "second", "person": "person", "gal": "gallon", "ha": "hectare", "dl": "deciliter", "dL": "deciliter",
}  # fmt: skip
QUOTES = '"\u2033'
DIRECTIONS = {"N": "north", "S": "south", "E": "east", "W": "west"}
EVERY_CASE = (  # written in any case; other symbols mean something else in another case, as mW and MW
    "km cm mm kg mg lb lbs oz mph kph hz khz mhz ghz ft mi yd ml min mins hr hrs sec secs bpm rpm fps psi kwh"
    " °c °f gb tb kb mb db"
).split()
IRREGULAR = {"foot": "feet", "square foot": "square feet", "cubic foot": "cubic feet", "inch": "inches",
             "square inch": "square inches", "cubic inch": "cubic inches", "hertz": "hertz", "lux": "lux",
             "horsepower": "horsepower", "pound foot": "pound feet", "millimolar": "millimolar",
             "micromolar": "micromolar",
             "nanomolar": "nanomolar", "volt a c": "volts a c", "volt d c": "volts d c",
             "kelvin": "kelvin"}  # fmt: skip

WITHOUT_PREFIX = frozenset(
    ("m", "g", "s", "L", "l", "W", "Wh", "V", "Hz", "J", "Pa", "eV", "Ω", "cal", "mol", "Sv", "VA", "bps")
)
UNITS = (
    {prefix + symbol: PREFIXES[prefix] + name for symbol, (prefixes, name) in SCALED.items() for prefix in prefixes}
    | {symbol: name for symbol, (_, name) in SCALED.items() if symbol in WITHOUT_PREFIX}
    | NAMED
)
_any_case = {symbol: next(UNITS[s] for s in UNITS if s.lower() == symbol) for symbol in EVERY_CASE}

_names = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
_any_case_names = "|".join(map(re.escape, sorted(_any_case, key=len, reverse=True)))
_symbol = rf"(?:{_names}|(?i:{_any_case_names}))"
_power = r"(?:[²³]|\^[23](?!\d)|(?<=m)[23](?![\d.,])|(?<=/s)[23](?![\d.,]))"
_per_names = "|".join(map(re.escape, sorted({*UNITS, *AFTER_SLASH}, key=len, reverse=True)))
_unit = re.compile(
    rf"(?P<digits>(?<!\d)(?:(?P<whole>\d{{1,9}}) )?(?P<above>\d{{1,4}})/(?P<below>\d{{1,4}})"
    rf"|{NUMBER}(?:(?:[kKMB]|bn| (?:hundred|thousand|million|billion|trillion))(?=\s))?)"
    rf"(?P<gap>\s?)(?P<hyphen>-?)"
    rf"(?P<unit>{_symbol})(?P<power>{_power})?(?:\s?/\s?(?P<per>{_per_names}|(?i:h|s))(?P<per_power>{_power})?)?"
    rf"(?![\w']|/(?!\d)|\.\w)(?:(?P<stop>\.)(?= [a-z]))?(?P<to>\s?[-\u2013]\s?(?=\d))?"
)
_feet_and_inches = re.compile(r"(?<![\w.])(\d+)['\u2032]\s?(\d{1,2}(?:\.\d+)?)(?:\"|\u2033|'')")
_after_range = re.compile(r" to (?=\d)")
_angle = re.compile(
    r"(?<![\w.])(\d{1,3})° ?(\d{1,2})['\u2032](?: ?(\d{1,2}(?:\.\d+)?)(?:\"|\u2033|''))?(?: ?([NSEW])(?!\w))?"
)
_feet = re.compile(r"(?<![\w.,'])(\d+)['\u2032](?= ?[x×]| (?:tall|long|wide|high|deep))|(?<=[x×] )(\d+)['\u2032](?!\w)")
_inches = re.compile(rf"({NUMBER})(?:\"(?=\s?[x×]| (?:[a-z]))|\u2033)|(?<=x )({NUMBER})\"|^(?:\d+/)?({NUMBER})\"$")
_inch = re.compile(
    rf"({NUMBER})\s?in(?!\w)(?:(?=,|;|\)|\s*$| ?[x×] ?\d| (?:wide|long|tall|high|deep|thick|across|of)\b)"
    r"|\.(?=\s*$| ?[x×] ?\d| [a-z]|,))|(?<=ft )(\d+) in(?!\w)"
)
_direction = re.compile(r"(?<=°)\s?([NSEW])(?!\w)|(?<=\d\.\d{4}) ([NSEW])(?!\w)")
_minutes = re.compile(r"(?<![\w.])(?:(\d{1,2})\s?h\s?)?([0-5]?\d)\s?m(?:\s?([0-5]?\d)\s?s)?(?!\w)")
_minutes_and_seconds = re.compile(r"(?<![\w.])(\d+)['\u2032]\s?([2-5]\d|1[2-9])(?:\"|\u2033)")
_bare = re.compile(
    r"(?<![\w.'/-])(?<!\d )(per )?"
    r"(km/h|m/s|mg/d?[lL]|g/[lL]|[MG]B/s|[kMG]Hz|[kM]Wh|[MG]bps|[kc]m[²2]|m²|m³|ft²|km|kg|mph)(?![\w'/²³-])"
)
_height = re.compile(r"(?<![\w.,'])([4-7])['\u2032](1[01]|\d)(?![\w'\"\u2033])")
_grid = re.compile(r"(?<![\w.$-])(\d{1,2})x(?=\d{1,2}(?![\w.]))")
_by = re.compile(
    rf"(?<=\d) x (?=\d)|(?<=\d\d\d)[x×](?=\d\d\d)"
    rf"|(?:(?<=\d)|(?<=\d )(?={_symbol} ?[x×]))({_symbol})? ?[x×] ?(?=\d[\d.]*\s?{_symbol}(?!\w))"
)
_lengths = re.compile(r"(?:(?<=feet)|(?<=inches)) ?[x×] ?(?=\d)")
_per_hundred = re.compile(r"(?<=\w)/100 ?(km|g|ml|mL)(?!\w)")
_per_unit = re.compile(r"(?<=\w)/([kc]?m[²2]|sq\.? mi|kg)(?!\w)")


def say_units(text: str) -> str:
    """Replace units after a number, with the number where it decides between one and several."""
    text = _per_hundred.sub(lambda match: f" per one hundred {UNITS[match[1]]}s", text)
    text = replace(_minutes, _say_minutes, text)
    text = _direction.sub(lambda match: f" {DIRECTIONS[match[1] or match[2]]}", text)
    text = _angle.sub(_say_angle, text)
    text = _minutes_and_seconds.sub(lambda m: f"{m[1]} minute{'' if m[1] == '1' else 's'} {m[2]} seconds", text)
    text = _feet_and_inches.sub(
        lambda m: f"{m[1]} {'foot' if m[1] == '1' else 'feet'} {m[2]} {'inch' if m[2] == '1' else 'inches'}", text
    )
    text = _feet.sub(lambda match: f"{match[1] or match[2]} feet", text)
    text = _height.sub(r"\1 feet \2", text)
    text = _grid.sub(r"\1 by ", text)
    text = _by.sub(lambda match: f"{match[1] or ''} by ", text)
    text = _inch.sub(lambda match: f"{match[1] or match[2]} {'inch' if match[1] == '1' else 'inches'}", text)
    text = _lengths.sub(" by ", _inches.sub(_say_inches, text))
    text = replace(_unit, _say_unit, text)
    text = _per_unit.sub(lambda match: f" per {_unit.sub(_say_unit, f'1 {match[1]}')[2:]}", text)
    # The end of a range was a part of the match of its beginning, so its unit is found only the second time.
    return replace(_unit, _say_unit, text) if _after_range.search(text) else text


def say_bare_units(text: str) -> str:
    """Replace units without a number, such as km/h."""
    return _bare.sub(
        lambda match: f"{match[1] or ''}{_unit.sub(_say_unit, f'{1 if match[1] else 2} {match[2]}')[2:]}", text
    )


def _say_minutes(match: re.Match[str]) -> str:
    """Say 2h 15m and 1m30s, but not 15m alone, which is a length."""
    hours, minutes, seconds = match.groups()
    if not (hours or seconds):
        return match[0]
    counts = ((hours, "hour"), (minutes, "minute"), (seconds, "second"))
    return " ".join(f"{count} {name}{'' if count == '1' else 's'}" for count, name in counts if count)


def _say_angle(match: re.Match[str]) -> str:
    seconds = f" {match[3]} seconds" if match[3] else ""
    direction = f" {DIRECTIONS[match[4]]}" if match[4] else ""
    return f"{match[1]} degrees {match[2]} minutes{seconds}{direction} "


def _say_inches(match: re.Match[str]) -> str:
    # After an odd number of quotation marks this one closes a quotation.
    if match[1] and match[0].endswith('"') and match.string.count('"', 0, match.end() - 1) % 2:
        return match[0]
    digits = match[1] or match[2] or match[3]
    is_one = digits == "1" or match[0].startswith("1/") or is_attributive(match)
    return f"{match[0].rstrip(QUOTES)} {'inch' if is_one else 'inches'}"


def _say_unit(match: re.Match[str]) -> str:
    digits, symbol, power = match["digits"], match["unit"], match["power"]
    if _is_no_unit(match):
        return match[0]
    name = UNITS.get(symbol) or _any_case[symbol.lower()]
    if power:
        name = f"{'square' if power[-1] in '2²' else 'cubic'} {name}"
    is_one = digits in ("1", "1.0") or bool(match["above"] and not match["whole"]) or bool(match["hyphen"])
    words = name if is_one or is_attributive(match) else plural(name)
    if match["per"]:
        per = AFTER_SLASH.get(match["per"]) or UNITS.get(match["per"]) or AFTER_SLASH[match["per"].lower()]
        exponent = (match["per_power"] or " ")[-1]
        if exponent in "2²3³":
            per = (
                f"{per} {'squared' if exponent in '2²' else 'cubed'}"
                if per == "second"
                else f"{'square' if exponent in '2²' else 'cubic'} {per}"
            )
        words += f" per {per}"
    return f"{digits}{'-' if match['hyphen'] else ' '}{words}{' to ' if match['to'] else ''}"


def _is_no_unit(match: re.Match[str]) -> bool:
    """Whether the letters after a number only look like a unit."""
    symbol, rest = match["unit"], match.string[match.end() :][:12]
    before = match.string[max(0, match.start() - 8) : match.start()]
    if match["hyphen"] and (match["gap"] or len(symbol) < 2):
        return True
    if symbol in ("W", "V", "J") and re.match(r" (?:\d|(?!AC\b|DC\b)[A-Z])", rest):
        return True  # 100 W 42nd Street
    if (
        symbol == "s"
        and not match["gap"]
        and (
            match["digits"].endswith("0")
            or before.lower().endswith("iphone ")
            or re.match(r" (?:electron|orbital|shell|subshell)", rest)
        )
    ):
        return True
    if symbol in ("us", "in") and not match["gap"]:
        return False
    if symbol == "us":
        return True
    return bool(re.search(r"[A-Za-z]-?$", before)) and not match["gap"]


def plural(name: str) -> str:
    """More than one of a unit: kilometers per hour, parts per million, degrees celsius."""
    if name in IRREGULAR:
        return IRREGULAR[name]
    if name.endswith("hertz"):
        return name
    for link in (" per ", " of ", " celsius", " fahrenheit"):
        head, found, tail = name.partition(link)
        if found:
            return plural(head) + found + tail
    return name + "s"
