"""Acronyms that are no words, letter by letter: IBM becomes i b m, but NASA nasa."""

import re

# Capitals of two or three letters are read by letter unless they are one of these words, which stress or a name may set
# in capitals; with a vowel between two consonants, which can be read as a word, only if they are one of BY_LETTER.
WORDS = frozenset(
    "ad ah am an as at be by do go ha he hi if in is it me mr ms my no of oh ok on or ow ox oy so to up we ye yo"
    " act add age ago aid aids aim air ale all and any ape apt are arm art ash ask ate awe axe aye bee bye cry day"
    " die dry due ear eat eel egg ego elf end era eve eye fee few fly for fry goo how ice ill imp ink inn its ivy"
    " joy key lay lie low may new nor now oak oar oat odd off oil old one opt orb our out owe owl own pay pie ply"
    " pry ray raw row say sea see she shy sky sly spy tea the thy tie toe too toy try two use vie vow war was way"
    " were who why woe yes you zoo free blue true been good done only nasa".split()
)
BY_LETTER = frozenset(
    "fbi faq cio cfo gop hiv led mit nih nyc sos suv vip cad diy dui gis lax nes pos vat wms sat msc bbq mba mri"
    " rip cia usa doj dod hud bac bmi dob pov ged ieee isbn issn hdmi uefi ucsd ucsf aclu aarp espn ucla ymca usps"
    " ussr usda usaf oecd icao iupac ipcc imdb eeoc eula naacp aaas cnbc msnbc afaik icbm ohsu iaea usgs usmc asmr"
    " api apis sdk adhd ptsd copd html https eta eft eod esl etf gui icu ipo iou irs isp kpi llc nba nfl nhl poc"
    " cet ioc rfc roi sec tbd unhcr uri url usb vpn".split()
)
AMBIGUOUS = frozenset("us it who am me or in ok ad id".split())  # words in a text that is all in capitals

_capitals = re.compile(r"(?<![A-Za-z'])(?!(?<=\d)(?:ST|ND|RD|TH)(?!\w))([A-Z]{2,6})((?:'?s)?)(?![A-Za-z]|'[A-Za-z])")
_mixed = re.compile(
    r"(?<![A-Za-z])(PhD|MSc|BSc|iOS|tvOS|macOS|iPadOS|[a-z]RNA|cDNA|NaCl|HCl|pH|GmbH|IoT|SaaS|QoS)(s?)(?![A-Za-z])"
)
_with_and = re.compile(r"(?<![A-Za-z])([A-Z]{1,3})&([A-Z]{1,3})(s?)(?![A-Za-z])")
_the = re.compile(
    r"(?<=the )(?:WHO|IT|ID|US)(?!\w)|(?<=\b[Ii]n )IT(?=[.,;]|$)"
    r"|(?<!\w)IT(?= (?:admin|compan|consult|department|expert|industry|infrastructure"
    r"|job|manag|professional|project|sector|security|service|skill|specialist|staff|support|system|team))"
)
_formula = re.compile(r"(?<![A-Za-z])(?:NO|SO|HO|OH)(?=[\d₀-₉])")
_at_end = re.compile(r"(?<=[A-Za-z][a-z])(SQL|GPT|AI|API|QL|DB|PC|TV)(?!\w)")  # MySQL
_two_capitals = re.compile(r"[A-Z]{2}")
_world_war = re.compile(r"(?<!\w)WW(I{1,2}|[12])(?!\w)")
_letters_plural = re.compile(r"(?<![\w'])([BCDFGJKLNPQRSTVWXYZ])s(?!\w)")  # Saturn Vs
_sentence = re.compile(r"[^.!?]+")
_word = re.compile(r"[A-Za-z]+")
_vowel = re.compile(r"[AEIOU]")
_between_consonants = re.compile(r"[B-DF-HJ-NP-TV-Z][AEIOU][B-DF-HJ-NP-TV-Z]")
SPELLED = {"PhD": "p h d", "MSc": "m s c", "BSc": "b s c", "iOS": "i o s", "tvOS": "t v o s", "macOS": "mac o s",
           "iPadOS": "ipad o s", "cDNA": "c d n a", "IoT": "i o t", "NaCl": "n a c l", "HCl": "h c l", "pH": "p h",
           "QoS": "q o s", "SaaS": "sass"}  # fmt: skip


def spell_acronyms(text: str) -> str:
    """Put spaces between the letters of acronyms that are not read as words."""
    text = _mixed.sub(_spell_mixed, text)
    text = _with_and.sub(
        lambda match: f"{' '.join(match[1])} and {' '.join(match[2])}".lower() + ("'s" if match[3] else ""), text
    )
    text = _letters_plural.sub(lambda match: f"{match[1].lower()}'s", text)
    if not _two_capitals.search(text):
        return text
    text = _formula.sub(lambda match: " ".join(match[0]).lower(), text)
    text = _at_end.sub(lambda match: f" {' '.join(match[0]).lower()}", text)
    text = _world_war.sub(lambda match: f"world war {'one' if match[1] in ('I', '1') else 'two'}", text)
    text = _the.sub(lambda match: " ".join(match[0]).lower(), text)
    return _sentence.sub(lambda match: _spell_in_sentence(match[0]), text)


def _spell_mixed(match: re.Match[str]) -> str:
    word, ending = match.groups()
    return SPELLED.get(word, " ".join(word).lower()) + ("'s" if ending else "")


def _spell_in_sentence(sentence: str) -> str:
    words = _word.findall(sentence)
    capitals = sum(len(word) > 1 and word.isupper() for word in words)
    shouted = capitals > 2 and capitals * 3 > len(words) * 2

    def spell(match: re.Match[str]) -> str:
        letters, ending = match.groups()
        if not is_by_letter(letters, shouted):
            return match[0]
        # The plural has an apostrophe, so that the voice finds the letter's name in its dictionary.
        return " ".join(letters).lower() + ("'s" if ending else "")

    return _capitals.sub(spell, sentence)


def is_by_letter(capitals: str, shouted: bool = False) -> bool:
    """Whether a word in capitals is read letter by letter, be it in a text that is all in capitals or not."""
    word = capitals.lower()
    if not _vowel.search(capitals):
        return "Y" not in capitals or (word not in WORDS and len(capitals) < 4)
    if shouted:
        return word in BY_LETTER and word not in AMBIGUOUS
    if word in BY_LETTER:
        return True
    return len(capitals) < 4 and word not in WORDS and not _between_consonants.fullmatch(capitals)
