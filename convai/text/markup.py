"""Reads SSML, HTML and Markdown: the text to speak, its pauses, and nothing of the markup itself."""

import html
import re
from dataclasses import dataclass

from convai.description.limits import MAX_PAUSE_SECONDS
from convai.text.say_as import say_as

SENTENCE_PAUSE_SECONDS = 0.4
PARAGRAPH_PAUSE_SECONDS = 0.8
SHORTEST_SILENCE_SECONDS = 0.5  # a shorter pause is punctuation, for what is spoken alone is spoken worse
BREAK_STRENGTHS = {"none": 0.0, "x-weak": 0.1, "weak": 0.15, "medium": 0.25, "strong": 0.6, "x-strong": 1.0}
SUPERSCRIPTS = str.maketrans("0123456789-+\u2212nN", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺⁻ⁿⁿ")
PARAGRAPHS = frozenset(
    "p details h1 h2 h3 h4 h5 h6 div section article blockquote ul ol table pre title header footer hr".split()
)
SENTENCES = frozenset(("s", "summary", "tr", "dt", "dd", "caption"))
CLAUSES = frozenset(("br", "li", "td", "th", "option"))
INLINE = frozenset(
    "a abbr audio b bdi bdo big body button cite code data del dfn em emphasis font head html i img ins kbd label lang"
    " lexicon mark metadata meta link phoneme prosody q ruby rp rt samp say-as small span speak strike strong sub sup"
    " tbody thead time token tt u var voice w wbr desc input svg main nav form figure figcaption".split()
)

_hidden = re.compile(
    r"<!--.{0,20000}?-->|<\?.{0,500}?\?>|<!DOCTYPE[^>]{0,500}>|<(script|style)\b[^>]{0,500}>.{0,20000}?</\1\s*>",
    re.DOTALL | re.IGNORECASE,
)
_cdata = re.compile(r"<!\[CDATA\[(.{0,20000}?)\]\]>", re.DOTALL)
_attribute = r"""\s+[\w:.-]+\s{0,3}=\s{0,3}(?:"[^"<]{0,2000}"|'[^'<]{0,2000}'|[^\s"'<>=/]{1,200})"""
_tag = re.compile(rf"<(/?)([A-Za-z][\w:-]{{0,40}})((?:{_attribute}){{0,20}})\s{{0,3}}(/?)>")
_replaced = re.compile(
    rf"<(sub|say-as)((?:{_attribute}){{1,9}})\s{{0,3}}>([^<]{{0,2000}})</\1\s{{0,3}}>", re.IGNORECASE
)
_power = re.compile(r"<sup>\s?([-+\u2212]?[\dn]{1,9})\s?</sup>", re.IGNORECASE)
_base = re.compile(r"(?<=\d)(?=<sub>\d)", re.IGNORECASE)
_entity = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_paragraph_end = re.compile(r"\n\s*\n\s*")
_mark = re.compile(r"\ue000([\d.]+)\ue001")  # the seconds of a pause between two passages

_fence = re.compile(r"^[ ]{0,3}(?:```+|~~~+)[^\n`]{0,80}$", re.MULTILINE)
_rule = re.compile(r"^[ ]{0,3}(?:(?:\*[ ]*){3,}|(?:-[ ]*){3,}|(?:_[ ]*){3,}|={3,})$", re.MULTILINE)
_heading = re.compile(
    r"^[ ]{0,3}(?:#{1,6}[ \t]+|#{2,6}(?=[A-Za-z]))(?!\d+[ \t]*$|of )(\S[^\n]*?)[ \t]*#*$", re.MULTILINE
)
_task = re.compile(r"^([ \t]*(?:[-*+]|\d+[.)])[ \t]+)\[([ xX])\][ \t]+", re.MULTILINE)
_item = re.compile(r"^[ \t]*(?:[-*+\u2022\u25cf\u25aa\u2023\u25e6\u2043\u00b7][ \t]+)(?=\S)([^\n]*)$", re.MULTILINE)
_numbered = re.compile(r"^[ \t]*(\d{1,3})[.)][ \t]+(\S[^\n]*)$", re.MULTILINE)
_quote = re.compile(r"^[ ]{0,3}(?:>(?!=)[ ]?)+", re.MULTILINE)
_table_rule = re.compile(r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)+\|?[ \t]*$", re.MULTILINE)
_table_rule_of_one = re.compile(r"^[ \t]*\|[ \t]*:?-{2,}:?[ \t]*\|[ \t]*$", re.MULTILINE)
_table_row = re.compile(r"^[ \t]*\|([^\n]*)\|[ \t]*$", re.MULTILINE)
_definition = re.compile(r"^[ ]{0,3}\[([^\]\n]{1,100})\]:[ \t]+\S+[^\n]*$", re.MULTILINE)
_link = re.compile(
    r"!?\[([^\[\]\n]{0,500})\]\([ ]?<?[^\s()<>]{0,2000}(?:\([^\s()]{0,200}\))?>?"
    r"(?:[ ]+(?:\"[^\"\n]{0,300}\"|'[^'\n]{0,300}'))?[ ]?\)"
)
_reference = re.compile(r"!?\[([^\[\]\n]{1,500})\]\[([^\[\]\n]{0,100})\]")
_footnote = re.compile(r"\[\^[^\]\s]{1,40}\]")
_autolink = re.compile(r"<((?:https?://|mailto:)?[^\s<>]{1,500}(?:://|@)?[^\s<>]{0,500})>")
_code = re.compile(r"(?<!`)(`{1,2})(?!`)([^`\n]{1,1000})\1(?!`)")
_strong = re.compile(r"(?<![\w*])\*{1,3}(?=[^\s*])((?:[^*\n]| \* ){0,2000}?[^\s*])\*{1,3}(?![\w*])")
_strong_inside = re.compile(r"(?<!\*)\*\*(?=[^\s*])([^*\n]{0,2000}?[^\s*])\*\*(?!\*)")
_underlined = re.compile(r"(?<![\w_])_{1,3}(?=[^\s_])([^\n]{0,2000}?[^\s_])_{1,3}(?![\w_])")
_struck = re.compile(r"~~(?=\S)([^~\n]{0,2000})~~")
_marked = re.compile(r"(?<![\w=])==(?=[^\s=])([^=\n]{0,2000}?[^\s=])==(?![\w=])")
_formula = re.compile(r"(\$\$?)(?=[^\s\d$])([^$\n]{0,500}[^\s$])\1(?![\w$])")
_absolute = re.compile(r"(?<![|\w])\|(?=[-+]?\w)([-+\w.]{1,20})\|(?![|\w])")
_escape = re.compile(r"\\([\\`*_{}\[\]()#+.!>~|-])")
_ends_in_punctuation = re.compile(r"[.!?:;,\u2026][\"')\]*_\u201d\u2019]*$")


@dataclass(frozen=True)
class Passage:
    """A part of a text and the silence after it."""

    text: str
    pause_seconds: float


def read_passages(text: str) -> list[Passage]:
    """Split a text at its paragraphs and SSML breaks; what remains of each passage is plain text."""
    plain = _paragraph_end.sub(f"\ue000{PARAGRAPH_PAUSE_SECONDS}\ue001", read_markup(text))
    parts = _mark.split(plain)
    texts, pauses = parts[::2], map(float, parts[1::2])
    passages: list[Passage] = []
    for passage, pause in zip(texts, [*pauses, PARAGRAPH_PAUSE_SECONDS], strict=True):
        if not passages:
            passages = [Passage(passage, pause)] if passage.strip() else []
        elif not passage.strip():  # of pauses that follow each other, the longest counts
            passages[-1] = Passage(passages[-1].text, max(passages[-1].pause_seconds, pause))
        elif passages[-1].pause_seconds >= SHORTEST_SILENCE_SECONDS:
            passages.append(Passage(passage, pause))
        else:
            passages[-1] = Passage(_join(passages[-1], passage), pause)
    return passages


def join_passages(text: str) -> str:
    """The plain text of all passages, with punctuation where there is a pause."""
    first, *others = read_passages(text) or [Passage("", 0.0)]
    for passage in others:
        first = Passage(_join(first, passage.text), passage.pause_seconds)
    return first.text


def _join(before: Passage, after: str) -> str:
    mark = "." if before.pause_seconds >= SENTENCE_PAUSE_SECONDS else ","
    return f"{end_clause(before.text, mark)} {after.lstrip()}"


def end_clause(text: str, mark: str) -> str:
    """`text` with `mark` after it, unless it ends in punctuation."""
    text = text.rstrip()
    return text if not text or _ends_in_punctuation.search(text) else text + mark


def read_markup(text: str) -> str:
    """Remove markup. A pause becomes its seconds between U+E000 and U+E001, a paragraph an empty line."""
    text = re.sub("[\ue000\ue001]", "", text)
    if "<" in text:
        text = _read_tags(text)
    if re.search(r"[#*_`\[\\|>~=$•●▪‣◦⁃·]|^[ \t]*(?:---|(?:[-+]|\d+[.)])[ \t])", text, re.MULTILINE):
        text = _read_markdown(text)
    return _entity.sub(lambda match: html.unescape(match[0]), text) if "&" in text else text


def _read_tags(text: str) -> str:
    text = _cdata.sub(lambda match: html.escape(match[1]), _hidden.sub(" ", text))
    text = _power.sub(lambda match: match[1].translate(SUPERSCRIPTS), text)
    text = _base.sub(" ", text)
    if "sub" in text or "say-as" in text.lower() or "SUB" in text:
        text = _replaced.sub(_say_replaced, text)
    closed = {match[2].lower() for match in _tag.finditer(text) if match[1] or match[4] or match[3]}
    return _tag.sub(lambda match: _read_tag(match, closed), text)


def read_attributes(source: str) -> dict[str, str]:
    found = re.findall(r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+))""", source)
    return {name.lower(): html.unescape(a or b or c) for name, a, b, c in found}


def _say_replaced(match: re.Match[str]) -> str:
    attributes, content = read_attributes(match[2]), html.unescape(match[3])
    if match[1].lower() == "sub":
        return html.escape(attributes.get("alias", content), quote=False) if "alias" in attributes else match[0]
    kind, layout = attributes.get("interpret-as", ""), attributes.get("format", "")
    return html.escape(say_as(content, kind.lower(), layout.lower()), quote=False)


def _read_tag(match: re.Match[str], closed: set[str]) -> str:
    is_closing, name, source, _ = match.groups()
    name = name.lower()
    if name == "break":
        return _pause(read_attributes(source))
    if name == "sub" and not is_closing and "alias" in (attributes := read_attributes(source)):
        return f" {attributes['alias']} "
    if name in PARAGRAPHS:
        return "\n\n"
    if name in SENTENCES:
        return f"\ue000{SENTENCE_PAUSE_SECONDS}\ue001"
    if name in CLAUSES:
        return "\ue0000.15\ue001" if is_closing or name == "br" else " "
    if name in ("img", "desc") and "alt" in (attributes := read_attributes(source)):
        return f" {attributes['alt']} "
    if name in INLINE:
        return ""
    if name in closed:
        return " "
    return f" {match[2]} "  # a placeholder such as <name>


def _pause(attributes: dict[str, str]) -> str:
    time = re.fullmatch(r"\+?(\d*\.?\d+)\s*(ms|s)", attributes.get("time", "").strip().lower())
    seconds = BREAK_STRENGTHS.get(attributes.get("strength", "medium").lower(), BREAK_STRENGTHS["medium"])
    if time:
        seconds = float(time[1]) / (1000 if time[2] == "ms" else 1)
    return f"\ue000{min(seconds, MAX_PAUSE_SECONDS):.3f}\ue001" if seconds > 0 else " "


def _read_markdown(text: str) -> str:
    lines = text.count("\n")
    text = _rule.sub("\n", _table_rule.sub("", _table_rule_of_one.sub("", _fence.sub("\n", text))))
    defined = {match[1].lower() for match in _definition.finditer(text)} | {""}
    text = _definition.sub("", text)
    text = _heading.sub(lambda match: f"\n\n{end_clause(match[1], '.')}\n\n", text)
    text = _task.sub(lambda match: f"{match[1]}{'to do' if match[2] == ' ' else 'done'}: ", text)
    if lines or not re.match(r"\s*[-+*]\s+[$£€¥₹₩.\d]", text):  # "- 5" alone is a number
        text = _item.sub(lambda match: end_clause(match[1], ","), text)
    numbers = [int(number) for number, _ in _numbered.findall(text)]
    if len(numbers) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        text = _numbered.sub(lambda match: f"{match[1]}, {end_clause(match[2], ',')}", text)
    if lines or not re.match(r"\s*>\s*[\d$£€.]", text):
        text = _quote.sub("", text)
    text = _formula.sub(r"\2", _absolute.sub(r"the absolute value of \1", text))
    text = _table_row.sub(lambda match: end_clause(re.sub(r"\s*\|\s*", ", ", match[1].strip()), "."), text)
    text = _footnote.sub("", text)
    text = _link.sub(r"\1", text)
    text = _reference.sub(
        lambda match: match[1] if match[2].isdecimal() or match[2].lower() in defined else match[0], text
    )
    text = _link.sub(r"\1", text)  # an image inside a link
    text = re.sub(
        r"<((?:https?://|mailto:)[^\s<>]{1,1000}|[^\s<>@]{1,64}@[^\s<>@]{1,255})>",
        lambda match: match[1].removeprefix("mailto:"),
        text,
    )
    text = _code.sub(r"\2", text)
    for pattern in (_strong, _strong_inside, _strong, _underlined, _underlined, _struck, _marked):
        text = pattern.sub(r"\1", text)
    return _escape.sub(r"\1", text)
