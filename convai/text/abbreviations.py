"""Words of abbreviations, some of which depend on what stands beside them, and of Roman numerals."""

import re

ABBREVIATIONS = {  # recognised with a full stop only
    "mrs": "missus", "mr": "mister", "ms": "miz", "dr": "doctor", "drs": "doctors", "prof": "professor",
    "st": "saint", "ft": "fort", "mt": "mount", "rev": "reverend", "hon": "honorable", "esq": "esquire",
    "jr": "junior", "sr": "senior", "gen": "general", "maj": "major", "col": "colonel", "capt": "captain",
    "lt": "lieutenant", "sgt": "sergeant", "cpl": "corporal", "sen": "senator", "gov": "governor",
    "co": "company", "corp": "corporation", "inc": "incorporated", "ltd": "limited", "dept": "department",
    "univ": "university", "approx": "approximately", "vs": "versus", "etc": "et cetera", "bros": "brothers",
    "govt": "government", "assn": "association", "misc": "miscellaneous", "avg": "average", "tel": "telephone",
    "attn": "attention",
    "incl": "including", "excl": "excluding", "cf": "compare", "viz": "namely", "pres": "president",
    "jan": "january", "feb": "february", "aug": "august", "sept": "september", "oct": "october",
    "nov": "november", "dec": "december", "ave": "avenue", "blvd": "boulevard", "rd": "road", "hwy": "highway",
    "pkwy": "parkway", "mfg": "manufacturing", "intl": "international", "natl": "national", "messrs": "messieurs",
}  # fmt: skip
PHRASES = {
    "e.g.": "for example", "i.e.": "that is", "a.m.": "a m", "p.m.": "p m", "et al.": "et al", "ph.d.": "p h d",
    "ph.d": "p h d", "w/o": "without", "w/": "with ", "b/c": "because", "c/o": "care of", "n/a": "not applicable",
    "a.k.a.": "also known as", "p.s.": "p s", "m.sc.": "m s c", "b.sc.": "b s c", "int'l": "international",
    "gov't": "government", "nat'l": "national", "dep't": "department", "ass'n": "association", "ed. by": "edited by",
    "trans. by": "translated by", "sec. of": "secretary of", "ph.d.s": "p h d's",
    "sq. miles": "square miles", "sq. mile": "square mile", "sq. feet": "square feet",
}  # fmt: skip
TITLES = {"Mr": "mister", "Mrs": "missus", "Ms": "miz", "Dr": "doctor", "Prof": "professor", "St": "saint",
          "Mt": "mount", "Ft": "fort", "Sgt": "sergeant", "Capt": "captain", "Lt": "lieutenant", "Col": "colonel",
          "Maj": "major", "Rep": "representative", "Adm": "admiral", "Cmdr": "commander", "Pvt": "private",
          "Supt": "superintendent", "Insp": "inspector", "Mme": "madame",
          "Rev": "reverend"}  # fmt: skip
STREETS = {
    "St": "street", "Dr": "drive", "Ave": "avenue", "Av": "avenue", "Blvd": "boulevard", "Rd": "road", "Ln": "lane",
    "Ct": "court", "Pl": "place", "Sq": "square", "Hwy": "highway", "Pkwy": "parkway", "Ter": "terrace",
    "Cir": "circle", "Expy": "expressway", "Fwy": "freeway",
}  # fmt: skip
BEFORE_NUMBERS = {  # spoken so before a number only
    "fig": "figure", "figs": "figures", "p": "page", "pp": "pages", "pg": "page", "vol": "volume", "vols": "volumes",
    "ch": "chapter", "chap": "chapter", "sec": "section", "no": "number", "nos": "numbers",
    "eq": "equation", "eqs": "equations", "ex": "example", "para": "paragraph", "pt": "part", "c": "circa",
    "ca": "circa",
    "apt": "apartment", "ste": "suite", "rm": "room", "ext": "extension", "est": "established", "max": "maximum",
    "min": "minimum", "ver": "version", "v": "version",
    "op": "opus", "rte": "route", "fl": "floor", "bldg": "building", "ll": "lines",
}  # fmt: skip
DIRECTIONS = {"N": "north", "S": "south", "E": "east", "W": "west", "NE": "northeast", "NW": "northwest",
              "SE": "southeast", "SW": "southwest"}  # fmt: skip
SERIES = (  # names after which a Roman numeral of any size is a number
    r"Super Bowl|World War|Wrestle[Mm]ania|Part|Parts|Chapter|Chapters|Act|Scene|Book|Volume|Vol\.|"
    r"Section|Article|Title|Appendix|Phase|Stage|Type|Class|Level|Grade|Mark|Figure|Fig\.|Table|"
    r"Canto|Psalm|Symphony|Schedule|Amendment|Division|Group|Unit|Lesson|Episode|Season|Round|"
    r"Category|Apollo|Star Wars|Rocky|Final Fantasy|Factor|Corps|Sonata|Opus|Op\.|Edition|"
    r"PART|CHAPTER|BOOK|ACT|SCENE|VOLUME|SECTION|ARTICLE|Grand Theft Auto|Olympiad|Dynasty|"
    r"Tier|Step|Exhibit|Annex|Stratum|Quarter|Region|Zone|Saturn|Gemini|Soyuz"
)
MONARCHS = (  # names of kings, queens and popes, before whose numeral "the" is said
    "Alexander|Benedict|Catherine|Charles|Christian|Clement|Edward|Elizabeth|Ferdinand|Francis|Frederick|George|Gregory"
    "|Henry|Innocent|Ivan|James|John|John Paul|Leo|Leopold|Louis|Mary|Napoleon|Nicholas|Otto|Paul|Peter|Philip|Pius"
    "|Ramses|Richard|Urban|William"
)
COUNTED_FAR = ("Super Bowl", "Wrestle", "Psalm", "Canto", "Chapter")  # of which there are more than 39
VERBS = (  # after which "I" is the pronoun
    "also|always|am|believe|bought|can|can't|could|couldn't|did|didn't|do|don't|enjoy|feel|felt|found|get|got|had|hate|have"
    "|hope|just|knew|know|like|liked|love|loved|made|make|may|mean|might|must|need|needed|never|play|prefer|read|really"
    "|remember|said|saw|say|shall|should|still|think|thought|took|want|wanted|was|went|will|wish|won't|would|wrote"
)

_digit = re.compile(r"\d")
_abbreviation = re.compile(r"(?<![\w'])([A-Za-z]{2,6})\.(?!\w)")
_phrases = "|".join(map(re.escape, sorted(PHRASES.keys() - {"w/"}, key=len, reverse=True)))
_phrase = re.compile(rf"(?<![\w/])(?:{_phrases})(?!\w)|(?<!\w)w/(?= ?\w)", re.IGNORECASE)
_title = re.compile(rf"(?<!\w)({'|'.join(TITLES)})(?:\.?(?= [A-Z])|\.(?=[A-Z][a-z]))")
_streets = "|".join(STREETS)
_after_street = rf"\s+[a-z0-9(]| (?:{'|'.join(DIRECTIONS)}|Apt|Suite|Ste|Unit|Floor)\b"
_street = re.compile(
    rf"(?P<before>(?<!\w)(?!(?:The|A|An|In|At|On|Of|For|To|From|And|But|By|With|Near|Saint) )"
    r"(?:[A-Z][a-z]+(?:'s)?|\d+(?:st|nd|rd|th)) )"
    rf"(?P<name>{_streets})(?!\w)(?:\.(?={_after_street}|[,;)])|\.(?=\s*$)|(?P<end>\.)(?=\s+[A-Z])"
    rf"|(?={_after_street}|\s*$|[,;:?!)]))"
)
_road_number = re.compile(r"(?<!\w)(Hwy|Rte|Rt|Apt|Ste)\.?(?= #?\d)")
ROADS = {"Hwy": "highway", "Rte": "route", "Rt": "route", "Apt": "apartment", "Ste": "suite"}
_direction = re.compile(
    rf"(?<=\d )({'|'.join(DIRECTIONS)})\.?(?= (?:[A-Z][a-z]+|\d+(?:st|nd|rd|th)) (?:[A-Z]|{_streets}))"
)
_direction_after = re.compile(rf"({'|'.join(STREETS.values())}) ({'|'.join(DIRECTIONS)})(?!\w)")
_before_number = re.compile(r"(?<![\w.])(?<!answer is )(?<!answered )(?<!said )([A-Za-z]{1,4})\. ?(?=#?\d|\(\d)")
_versus = re.compile(r"(?<=[A-Za-z.] )vs?(?:\.|(?= ))(?= [A-Z])")
_versus_bare = re.compile(r"(?<![\w'])vs(?![\w.'])")
_initials = re.compile(r"\b(?:[A-Za-z]\.){2,}([a-z](?!\w))?")
_edition = re.compile(r"(?<=\d(?:st|nd|rd|th) )ed\.")

_BELOW_A_THOUSAND = r"(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_NUMERAL = rf"(?=[IVXLCDM])M{{0,3}}{_BELOW_A_THOUSAND}"
_series = re.compile(
    rf"(?<!\w)((?:{SERIES})s? )({_NUMERAL})(?![\w'])(?! (?:{VERBS})\b)"
    rf"(?:((?:\s?[-\u2013/&,]\s?| and | to | or ))({_NUMERAL})(?!\w))?"
)
_roman = re.compile(
    r"(?<=[a-z] )(?<!\bthe )(?<!\ban )(?<!\bhis )(?<!\bher )(?<!\bby )(X{1,3}(?:IX|IV|V?I{0,3})|IX|IV|VI{0,3}|I{2,3})\b"
)
_any_numeral = re.compile(r"[IVXLCDM]+(?:st|nd|rd|th)?(?![A-Za-z])")
_monarch = re.compile(
    rf"(?<!\w)((?:{MONARCHS}) )([IVX]{{1,5}})(?![\w-]|'(?!s\b))"
    rf"(?:(?! [a-z])|(?= (?:of|reigned|ruled)\b)|(?<! I))(?!\. [A-Z])"
)
_year = re.compile(rf"(?<![\w'.&])(?=[MDCLXVI]{{4,}})M{{1,3}}{_BELOW_A_THOUSAND}(?![\w.&])")
_page = re.compile(r"\b([Pp]ages? |[Pp]p?\. )([ivx]+)(?:(\s?[-\u2013]\s?)([ivx]+))?(?!\w)")
_unmistakable = re.compile(r"(?<![\w'.&])(?:X{0,3}(?:VI{2,3}|I{2,3})|X{1,3}(?:IV|VI))(?![\w.&])")
_in_parentheses = re.compile(r"(?<=[a-z])\((I|II|III|IV|V|VI|VII)\)")
_century = re.compile(
    r"(?<!\w)([IVX]{1,5})(?:(?:th|st|nd|rd)?(?= (?:century|centuries|Olympiad|dynasty)\b)|(?:th|st|nd|rd)(?!\w))"
)
_values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def expand_roman_numerals(text: str) -> str:
    """Write Roman numerals with Arabic digits after a word, and after names of series even single letters.

    Elsewhere "IV" or "XI" is more often an abbreviation, and a single X or V is rarely a number.
    """
    if "age " in text or "p. " in text:
        text = _page.sub(_expand_page, text)
    if not _any_numeral.search(text):
        return text
    text = _century.sub(lambda match: _roman_ordinal(match[1]), text)
    text = _in_parentheses.sub(lambda match: f" {roman_value(match[1])}", text)
    text = _series.sub(_expand_series, text)
    text = _monarch.sub(lambda match: f"{match[1]}the {_roman_ordinal(match[2])}", text)
    text = _year.sub(lambda match: str(roman_value(match[0])), text)
    text = _unmistakable.sub(lambda match: str(roman_value(match[0])), text)
    return _roman.sub(lambda match: str(roman_value(match[0])) if len(match[0]) > 1 else match[0], text)


def _expand_series(match: re.Match[str]) -> str:
    name, first, link, second = match.groups()
    if not (name.startswith(COUNTED_FAR) or set(first) <= set("IVX") or len(first) > 2):
        return match[0]  # Appendix C is no hundredth
    if not second:
        return f"{name}{roman_value(first)}"
    return f"{name}{roman_value(first)}{' and ' if link.strip() in ('/', '&') else link}{roman_value(second)}"


def _expand_page(match: re.Match[str]) -> str:
    name, first, link, last = match.groups()
    return f"{name}{roman_value(first.upper())}{f'{link}{roman_value(last.upper())}' if last else ''}"


def _roman_ordinal(numeral: str) -> str:
    value = roman_value(numeral)
    suffix = "th" if value % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(value % 10, "th")
    return f"{value}{suffix}"


def roman_value(numeral: str) -> int:
    values = [_values[letter] for letter in numeral]
    return sum(-value if value < max(values[index:]) else value for index, value in enumerate(values))


def _say_before_number(match: re.Match[str]) -> str:
    words = BEFORE_NUMBERS.get(match[1].lower())
    return f"{words} " if words else match[0]


def expand_before_numbers(text: str) -> str:
    """Replace abbreviations that are spoken so before a number only."""
    text = _before_number.sub(_say_before_number, text)
    return _road_number.sub(lambda match: ROADS[match[1]], text)


def expand_abbreviations(text: str) -> str:
    """Replace abbreviations by words."""
    text = _phrase.sub(lambda match: PHRASES[match[0].lower()], text)
    if _digit.search(text):
        text = _edition.sub("edition", text)
        text = _direction.sub(lambda match: DIRECTIONS[match[1]], text)
    text = _street.sub(lambda match: f"{match['before']}{STREETS[match['name']]}{match['end'] or ''}", text)
    text = _direction_after.sub(lambda match: f"{match[1]} {DIRECTIONS[match[2]]}", text)
    text = _versus.sub("versus", text)
    if "vs" in text:
        text = _versus_bare.sub("versus", text)
    text = _title.sub(lambda match: TITLES[match[1]] + (" " if match.string[match.end()] != " " else ""), text)
    text = _abbreviation.sub(lambda match: ABBREVIATIONS.get(match[1].lower(), match[0]), text)
    return _initials.sub(lambda match: " ".join(match[0].replace(".", "")).lower(), text)
