"""Words of amounts of money, and of scales written as letters, such as 5M."""

import re

from convai.text.number_words import DIGITS, NUMBER, cardinal, is_attributive, number, replace

CURRENCIES = {  # sign: whole, several, hundredth, several
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "jeon", "jeon"),
    "₽": ("ruble", "rubles", "kopek", "kopeks"),
    "₺": ("lira", "lira", "kurus", "kurus"),
    "₪": ("shekel", "shekels", "agora", "agorot"),
    "₫": ("dong", "dong", "xu", "xu"),
    "฿": ("baht", "baht", "satang", "satang"),
    "₱": ("peso", "pesos", "centavo", "centavos"),
    "₦": ("naira", "naira", "kobo", "kobo"),
    "₴": ("hryvnia", "hryvnias", "kopiyka", "kopiykas"),
    "₡": ("colon", "colones", "centimo", "centimos"),
    "₲": ("guarani", "guaranies", "centimo", "centimos"),
    "₵": ("cedi", "cedis", "pesewa", "pesewas"),
    "₸": ("tenge", "tenge", "tiyn", "tiyn"),
    "₼": ("manat", "manats", "qepik", "qepiks"),
    "₾": ("lari", "lari", "tetri", "tetri"),
    "₭": ("kip", "kip", "att", "att"),
    "₮": ("tugrik", "tugriks", "mongo", "mongo"),
    "৳": ("taka", "taka", "poisha", "poisha"),
    "֏": ("dram", "drams", "luma", "luma"),
    "៛": ("riel", "riels", "sen", "sen"),
    "₿": ("bitcoin", "bitcoins", "cent", "cents"),
    "R$": ("real", "reais", "centavo", "centavos"),
}
DOLLARS = {
    "US": "u s", "U.S.": "u s", "USD": "u s", "A": "australian", "AU": "australian", "AUD": "australian",
    "C": "canadian", "CA": "canadian", "CAD": "canadian", "CAN": "canadian", "HK": "hong kong", "HKD": "hong kong",
    "NZ": "new zealand", "NZD": "new zealand", "S": "singapore", "SGD": "singapore", "NT": "taiwan", "TWD": "taiwan",
    "MX": "mexican", "MEX": "mexican", "Z": "zimbabwe",
}  # fmt: skip
CODES = {
    "USD": "u s dollars", "EUR": "euros", "GBP": "pounds", "JPY": "yen", "INR": "rupees", "KRW": "won",
    "CHF": "swiss francs", "CNY": "yuan", "RMB": "yuan", "AUD": "australian dollars", "CAD": "canadian dollars",
    "NZD": "new zealand dollars", "HKD": "hong kong dollars", "SGD": "singapore dollars", "RUB": "rubles",
    "BRL": "reais", "MXN": "mexican pesos", "SEK": "swedish kronor", "NOK": "norwegian kroner",
    "DKK": "danish kroner", "PLN": "zlotys", "CZK": "czech korunas", "HUF": "forints", "TRY": "lira", "THB": "baht",
    "ZAR": "rand", "BTC": "bitcoins", "AED": "u a e dirhams", "SAR": "saudi riyals", "ILS": "shekels", "IDR": "rupiah",
    "MYR": "ringgit", "VND": "dong", "NGN": "naira", "KES": "kenyan shillings", "PKR": "pakistani rupees",
    "UAH": "hryvnias", "TWD": "taiwan dollars", "ISK": "icelandic kronur", "ETH": "ether", "KR": "kroner",
}  # fmt: skip
EACH = {
    "mo": "month", "yr": "year", "hr": "hour", "h": "hour", "wk": "week", "lb": "pound", "kg": "kilogram",
    "gal": "gallon",
    "oz": "ounce", "km": "kilometer", "min": "minute", "GB": "gigabyte", "TB": "terabyte", "MB": "megabyte",
    "l": "liter",
    "L": "liter", "kWh": "kilowatt hour", "MWh": "megawatt hour", "sqft": "square foot", "sq ft": "square foot",
    "ft": "foot",
    "m²": "square meter",
} | {word: word for word in (
    "month year hour day week person user seat night mile share barrel unit token ton minute head bottle piece pound"
).split()}  # fmt: skip
LOCAL_SIGNS = {"RM": "MYR", "Rp": "IDR", "kr": "KR", "zł": "PLN", "Kč": "CZK"}  # sign in letters: code
SCALES = {
    "lakh": "lakh", "crore": "crore",
    "hundred": "hundred", "thousand": "thousand", "k": "thousand", "million": "million", "m": "million",
    "mm": "million", "mn": "million", "mln": "million", "mio": "million", "billion": "billion", "b": "billion",
    "bn": "billion", "bln": "billion", "trillion": "trillion", "t": "trillion", "tn": "trillion", "trn": "trillion",
}  # fmt: skip
CROWDS = (  # what is counted in millions, so that 5m of them are not metres
    "people|users|views|viewers|followers|subscribers|downloads|customers|copies|dollars|euros|pounds|jobs|homes"
    "|households|records|tokens|parameters|params|rows|requests|messages|visitors|members|students|workers"
    "|residents|inhabitants|votes|voters|cars|vehicles|units|units sold|shares|lines|times|words|songs|tweets|likes"
)
PLACES = (  # what has a number with a letter, so that 5B is no scale
    "room|apartment|apt|suite|unit|gate|seat|flight|row|block|platform|bus|route|highway|line|lane|figure|fig|table"
    "|appendix|section|chapter|question|exercise|item|number|no|page|type|class|grade|form|building|terminal|model"
    "|part|step|size|level|phase|zone|area|group|team|version|channel|track|pier|dock|hall|box|lot|bay|floor|house"
)

_signs = "".join(re.escape(sign) for sign in CURRENCIES if len(sign) == 1)
_scale_names = "hundred|thousand|million|billion|trillion|lakh|crore"
_money_scale = rf"(?:[\s-]?({_scale_names}|bln|bn|mln|mn|mm|mio|trn|tn)(?!\w)|(k|m|b|t)(?!\w)|\s(K|M|B|T)(?!\w))?"
_prefix = (  # "A$5", but not "a $5 bill" or "it's $5"
    r"(?-i:(?<![\w.'])(US|U\.S\.|USD|AUD|CAD|CAN|HKD|HK|NZD|NZ|SGD|NT|TWD|MX)\s?(?=\$)"
    r"|(?<![\w.'])(AU|CA|Can|Mex|A|C|S|Z)(?=\$))?"
)
_money = re.compile(
    rf"(?:(?<![\w)\]])([-+])\s?)?{_prefix}((?<!\w)R\$|[{_signs}])\s?([-+])?({DIGITS})"
    rf"(?:\s?[-\u2013]\s?(?:[{_signs}]\s?)?(\d[\d,]*(?:\.\d+)?))?{_money_scale}(?:\s(USD|AUD|CAD|NZD|HKD|SGD)(?!\w))?",
    re.IGNORECASE,
)
_money_after = re.compile(rf"({NUMBER})(?:\s?({_scale_names}|bn|mn|k|m|b))?\s?([{_signs}¢])(?![\d.])")
_dollar_first = re.compile(r"\$(US|AU|NZ|CA|HK)(?=\s?\d)")
_rupees = re.compile(r"(?<!\w)(?:Rs|INR)\.?\s?(?=\d)")
_local_first = re.compile(r"(?<!\w)(RM(?=\d)|Rp|kr)\.?\s?(?=\d)")
_local_last = re.compile(r"(?<=\d)\s?(kr|zł|Kč)(?!\w)")
_rupiah = re.compile(r"(?<=IDR )\d{1,3}(?:\.\d{3})+(?!\d)")
_range_of_scales = re.compile(rf"(?:(?<=\d[kKmMbBtT])|(?<=\dbn))\s?[-\u2013]\s?(?=[{_signs}]?\d)")
_range_to_scale = re.compile(rf"(?<![\w.,{_signs}-])(\d[\d.,]*)\s?[-\u2013]\s?(?=\d[\d.]*(?:k|K|M|B|bn)(?!\w))")
_any_sign = re.compile(rf"[{_signs}¢]")
_range_to_sign = re.compile(rf"(?<=\d)\s?[-\u2013]\s?(?=\d[\d.,]*\s?(?:[{_signs}¢]|(?:{'|'.join(CODES)})(?!\w)))")
_each = re.compile(rf"(?<=[a-z]) ?/ ?({'|'.join(EACH)})(?!\w)")
_codes = "|".join(CODES)
_code_first = re.compile(rf"(?<!\w)({_codes})\s?({DIGITS})(?:\s?({_scale_names}|bn|mn|k|m|b|K|M|B)(?!\w))?")
_code_last = re.compile(rf"({NUMBER})(?:\s?({_scale_names}|bn|mn|k|m|b|K|M|B))?\s?({_codes})(?!\w)")
_resolution = re.compile(
    r"(?<![\w.,])([248]|16)K(?=-| (?:camera|content|display|footage|image|monitor|movie|screen|stream|tv|uhd|video))"
    r"|(?<![\w.,])(5|8|10|12|15)K(?= (?:fun run|race|run|walk))",
    re.IGNORECASE,
)
_pension = re.compile(r"(?<![\w$])(40[13])\(?([kbKB])\)?(?!\w)")
_scale = re.compile(rf"({NUMBER})(?:(k|K)|(M|MM|mn|mln|mio)|(B|bn|bln)|(tn|trn))(?:(\+)|(?![\w+(]))")
_spaced_scale = re.compile(rf"({NUMBER}) (mn|mln|mio|bn|bln|tn|trn)(?!\w)")
_crowd = re.compile(rf"({NUMBER})\s?(k|m|b)(?= (?:\w+ )?(?:{CROWDS})(?!\w))")
_place = re.compile(rf"(?<!\w)(?:{PLACES})\.? (?:no\.? |number |#)?$", re.IGNORECASE)


def say_money(text: str) -> str:
    """Replace amounts of money with their sign and scale."""
    text = _dollar_first.sub(r"\1$", _rupees.sub("₹", text))
    text = _local_first.sub(lambda match: f"{LOCAL_SIGNS[match[1]]} ", text)
    text = _local_last.sub(lambda match: f" {LOCAL_SIGNS[match[1]]}", text)
    text = _rupiah.sub(lambda match: match[0].replace(".", ","), text)
    text = _range_of_scales.sub(" to ", text)
    text = _range_to_scale.sub(r"\1 to ", text)
    text = replace(_crowd, lambda match: f"{number(match[1])} {SCALES[match[2]]}", text)
    if _any_sign.search(text):
        text = replace(_money, _say_money, text)
        text = _range_to_sign.sub(" to ", text)
        text = replace(_money_after, _say_money_after, text)
    text = replace(_code_first, lambda match: _amount_of_code(match[2], match[3], match[1]), text)
    text = replace(_code_last, lambda match: _amount_of_code(match[1], match[2], match[3]), text)
    return _each.sub(lambda match: f" per {EACH[match[1]]}", text)


def say_scales(text: str) -> str:
    """Replace numbers with a letter for thousands, millions, billions or trillions."""
    text = _resolution.sub(lambda match: f"{match[1] or match[2]} k", text)
    text = replace(_pension, lambda match: f"{cardinal(match[1][0])} oh {cardinal(match[1][2])} {match[2]}", text)
    text = replace(_spaced_scale, lambda match: f"{number(match[1])} {SCALES[match[2]]}", text)
    return replace(_scale, _say_scale, text)


def _say_scale(match: re.Match[str]) -> str:
    digits, suffix = match[1], next(filter(None, match.groups()[1:5]))
    text, rest = match.string, match.string[match.end() : match.end() + 20]
    is_name = (
        _place.search(text[max(0, match.start() - 24) : match.start()])
        or (match[0] == "3M" and not re.match(r" [a-z]+s\b| people", rest))
        or (
            suffix == "B"
            and "." not in digits
            and not re.match(r" (?!is|was|has|and|in|on|or|at)[a-z]|-[a-z]|[+,]? ?$|[.;:!?)]", rest)
        )
        or (suffix in ("B", "M") and "." not in digits and re.match(r"-[A-Z0-9]", rest))
        or re.search(r"[A-Za-z]-?(?:[\d.]+-)?$", text[max(0, match.start() - 9) : match.start()])
    )
    if is_name:
        return f"{number(digits)} {suffix.lower()}{' plus' if match[6] else ''}"
    return f"{number(digits)} {SCALES[suffix.lower()]}{' plus' if match[6] else ''}"


def _say_money(match: re.Match[str]) -> str:
    sign, prefix, letter, currency, inner_sign, amount, to_amount, word, glued, spaced, code = match.groups()
    names = CURRENCIES[currency.upper()]
    country = DOLLARS.get((prefix or letter or code or "").upper(), "") if currency == "$" else ""
    scale = SCALES.get((word or glued or spaced or "").lower(), "")
    if is_attributive(match):
        names = (names[0], names[0], names[2], names[2])
    minus = {"-": "minus ", "+": "plus ", None: ""}[sign or inner_sign]
    if to_amount:
        first = _say_amount(amount, "", names, country) if "." in amount and not scale else number(amount)
        words = f"{first} to {_say_amount(to_amount, scale, names, country)}"
    else:
        words = _say_amount(amount, scale, names, country)
    return minus + (words.replace(",", "") if is_attributive(match) else words)


def _say_money_after(match: re.Match[str]) -> str:
    amount, scale, sign = match.groups()
    if sign == "¢":
        return f"{number(amount)} {'cent' if amount == '1' else 'cents'}"
    return _say_amount(amount, SCALES.get((scale or "").lower(), ""), CURRENCIES[sign], "")


def _say_amount(amount: str, scale: str, names: tuple[str, str, str, str], country: str) -> str:
    one, several, hundredth, hundredths = names
    if country:
        one, several = f"{country} {one}", f"{country} {several}"
    whole, _, decimals = amount.replace(",", "").partition(".")
    if scale:
        return f"{_plain(amount)} {scale} {several}"
    if len(decimals) not in (0, 2):
        return f"{_plain(amount)} {several}"
    parts = [_count(whole, one, several), _count(decimals or "0", hundredth, hundredths)]
    return ", ".join(part for part in parts if part) or f"zero {several}"


def _amount_of_code(amount: str, scale: str | None, code: str) -> str:
    several = CODES[code.upper()]
    if amount == "1" and not scale:
        several = several.removesuffix("s")
    return " ".join(filter(None, (_plain(amount), SCALES.get((scale or "").lower(), ""), several)))


def _plain(amount: str) -> str:
    """Words of an amount, which is never a year."""
    return number(amount) if "." in amount else cardinal(amount.replace(",", ""), grouped=True)


def _count(digits: str, one: str, several: str) -> str:
    count = digits.lstrip("0")
    return f"{cardinal(count, grouped=True)} {one if count == '1' else several}" if count else ""
