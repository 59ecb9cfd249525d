"""Words of signs and symbols: arithmetic, arrows, Greek letters, powers, emoji."""

import re
import unicodedata

from anyascii import anyascii

from convai.text.number_words import DIGITS

NAMED_CHARACTERS = {
    "&": "and", "@": "at", "+": "plus", "=": "equals", "%": "percent", "#": "number", "<": "less than",
    ">": "greater than", "×": "times", "÷": "divided by", "±": "plus or minus", "∓": "minus or plus", "§": "section",
    "$": "dollars", "£": "pounds", "€": "euros", "¥": "yen", "₹": "rupees", "₩": "won", "¢": "cents", "©": "copyright",
    "®": "registered", "™": "trademark", "℠": "service mark", "°": "degrees", "²": "squared", "³": "cubed",
    "≠": "does not equal", "≤": "less than or equal to", "≥": "greater than or equal to", "≈": "approximately equals",
    "≃": "approximately equals", "≅": "is congruent to", "≡": "is identical to", "∝": "is proportional to",
    "∞": "infinity", "√": "the square root of", "∛": "the cube root of", "∑": "the sum of", "∏": "the product of",
    "∫": "the integral of", "∂": "partial", "∆": "delta", "∇": "nabla", "∈": "in", "∉": "not in", "⊂": "is a subset of",
    "⊆": "is a subset of or equal to", "∪": "union", "∩": "intersection", "∅": "the empty set", "∀": "for all",
    "∃": "there exists", "¬": "not", "∧": "and", "∨": "or", "∴": "therefore", "∵": "because", "⊥": "perpendicular to",
    "∥": "parallel to", "∠": "angle", "⋅": "times", "∙": "times", "∘": "of", "‰": "per mille", "¶": "paragraph",
    "№": "number", "♯": "sharp", "♭": "flat", "→": "to", "⟶": "to", "➡": "to", "➔": "to", "←": "left arrow",
    "⬅": "left arrow", "↑": "up arrow", "↓": "down arrow", "↔": "left right arrow", "⇒": "implies", "⟹": "implies",
    "⇐": "is implied by", "⇔": "is equivalent to", "⟺": "is equivalent to", "↦": "maps to", "µ": "micro", "Ω": "ohms",
    "✓": "check mark", "✔": "check mark", "✗": "cross mark", "✘": "cross mark", "★": "star", "☆": "star",
    "¤": "currency",
    "ª": "a", "º": "o", "℃": "degrees celsius", "℉": "degrees fahrenheit", "♂": "male", "♀": "female", "℅": "care of",
    "^": "to the power of", "~": "about",
}  # fmt: skip
COMPARISONS = {
    "<=>": "is equivalent to", "<->": "to and from", "!==": "does not equal", "===": "equals", "!=": "does not equal",
    "==": "equals", "<=": "less than or equal to", ">=": "greater than or equal to", "=>": "implies", "->": "to",
    "<-": "left arrow", "+/-": "plus or minus", "<>": "does not equal", "||": "or", "&&": "and",
    ":=": "is defined as", "<<": "much less than", ">>": "much greater than", "++": "plus plus",
    "**": "to the power of", "~=": "approximately equals", "-=": "minus equals",
}  # fmt: skip
EMOJI = {  # better known by another name than Unicode's
    "❤": "heart", "♥": "heart", "✅": "check mark", "☕": "coffee", "☀": "sun", "😂": "tears of joy", "😉": "wink",
    "🎂": "birthday cake", "🙏": "folded hands", "💯": "one hundred", "☑": "check mark", "☎": "telephone",
    "✉": "envelope", "⭐": "star", "🔴": "red circle", "🔵": "blue circle", "♠": "spades", "♣": "clubs",
    "♦": "diamonds",
}  # fmt: skip
GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon"
    " phi chi psi omega"
).split()
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ", "0123456789+-ni")

_named = str.maketrans({character: f" {name} " for character, name in NAMED_CHARACTERS.items()})
_superscript = re.compile(r"(?<=[\w)])[⁰¹²³⁴-⁹⁺⁻ⁿⁱ]+")
_subscript = re.compile(r"(?<=\d)(?=[₀-₉])")
_greek = re.compile(r"(?<![^\W\d_])[\u0391-\u03a9\u03b1-\u03c9](?![a-zA-Z]{2}|[\u0370-\u03ff\u1f00-\u1fff])")
_comparison = re.compile("|".join(rf"(?<![=<>!+*-]){re.escape(sign)}(?![=<>+*])" for sign in COMPARISONS))
_caret = re.compile(r"(?<=[\w)])\s?\^\s?([23])(?![\w.])")
_about = re.compile(r"~\s?(?=[\d$£€.])")
_loose_tilde = re.compile(r"~(?!\s?[\d$£€])")
_loose_caret = re.compile(r"\^(?!\s?[\w(-])|(?<![\w)])\s?\^")
_times = re.compile(r"(?<=\d)\s?x\s?(?=10\^)|(?<=[\w)])\*(?=[\w(])|(?<=[\w)]) \* (?=[\w(])|(?<=\d)\s?·\s?(?=\d)")
_minus = re.compile(  # before a variable or parenthesis, not a hyphen: -x, -(3 + 4), 5 - (-3), UTC-5, a grade of A-
    r"(?<![^\s(=])-(?=\(\s?-?[\dA-Za-z]|[bcfkmpqx-zB-DF-HJ-NP-Z](?![\w'-]))|(?<=\d) - (?=\(-?\d)"
    r"|(?<=UTC)-(?=\d)|(?<=GMT)-(?=\d)|(?<=\b[A-FO])-(?=[,.;:)]|\s*$| (?:average|blood|for|grade|in|on|student)\b)"
    r"|(?<=\b[A-FO])-(?= (?:or|and) [A-FO][+-]?(?![\w-]))"
    r"|(?<=\^)-(?=[A-Za-z(])|(?<=\d[eE])-(?=\d)|(?<=\bAB)-(?=[,.;:)]|\s*$| blood\b)"
)
_factorial = re.compile(r"(?<=[\dn])!(?=\s?[=×+/*-])")
_hex = re.compile(r"(?<!\w)0x([0-9A-Fa-f]{1,16})(?!\w)")
_heart = re.compile(r"(?<=\bI )<3(?= )|(?<=\byou )<3(?![\w.])")
_spaced_slash = re.compile(r"(?<=\d) / (?=\d)")
_operand = rf"(?:\(?[+-]?{DIGITS}%?[a-z]?\)?|\(?-?[A-Za-z]\)?(?![\w']))"
_operation = rf"{_operand}(?:\s?[-\u2013+*/x×÷·]\s?{_operand}){{0,9}}"
_equation = re.compile(
    rf"(?<![\w.,/$%-]){_operation}\s?(?:[=≠≤≥≈<>]|[<>!=]=)\s?{_operation}(?![\w/])|(?<![\w.,/$%-]){_operand}\s[-+*x×÷]\s{_operand}(?:\s?[-+*x×÷]\s?{_operand})*(?=\s?[=≠≤≥≈+×÷]|\s?\?)"
)
_operator = re.compile(r"[=≠≤≥≈<>+×÷*]| [-/x] .*\?")
_minus_after = re.compile(r"(?<=[\w)%])\s?[-\u2013]\s?(?=[\w(.-])")
_negative = re.compile(r"(?<![\w)])-\s?(?=[a-z(])")
_divided = re.compile(r"(?<=[\w)])(\s?)/(\s?)(?=[\w(])")
_emoji = re.compile(r":(\w+):")
_flag = re.compile("[\U0001f1e6-\U0001f1ff]{2}")
_keycap = re.compile("([0-9#*])\ufe0f?\u20e3")


def say_symbols(text: str) -> str:
    """Replace signs whose meaning depends on what stands beside them; `name_characters` names the others later."""
    if text.isascii() and not re.search(r"[-<>=!+*/^~|&:]|\d x \d", text):
        return text
    text = _subscript.sub(" ", text)
    if "0x" in text:
        text = _hex.sub(lambda match: f"0 x {' '.join(match[1])}", text)
    if "<3" in text:
        text = _heart.sub("heart", text)
    text = _superscript.sub(_say_superscript, text)
    text = _greek.sub(_say_greek, text)
    if _operator.search(text):
        text = _equation.sub(_say_equation, text)
    text = _comparison.sub(lambda match: f" {COMPARISONS[match[0]]} ", text)
    text = _caret.sub(lambda match: " squared" if match[1] == "2" else " cubed", text)
    text = _about.sub(" about ", text)
    text = _loose_caret.sub(" ", _loose_tilde.sub(" ", text))
    if "-" in text:
        text = _minus.sub(" minus ", text)
    if "!" in text:
        text = _factorial.sub(" factorial ", text)
    text = _spaced_slash.sub(" divided by ", text)
    return _times.sub(" times ", text)


def _say_superscript(match: re.Match[str]) -> str:
    if match[0] in ("²", "³"):
        return match[0]
    power = match[0].translate(SUPERSCRIPTS)
    before = match.string[max(0, match.start() - 2) : match.start()]
    if len(before) == 2 and before.isalpha():  # a footnote
        return f" {power}"
    after = match.string[match.end() : match.end() + 1]
    return f" to the power of {power.replace('-', 'minus ').replace('+', 'plus ')}{' ' if after.isalnum() else ''}"


def _say_greek(match: re.Match[str]) -> str:
    offset = ord(match[0].lower()) - ord("α")
    text, start, end = match.string, match.start(), match.end()
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    if match[0] in "Ωμ" and re.search(r"\d\s?[kMm]?$", text[max(0, start - 4) : start]):
        return match[0].replace("μ", "µ")  # a unit
    return f"{' ' if before.isalnum() else ''}{GREEK[offset]}{' ' if after.isalnum() else ''}"


def _say_equation(match: re.Match[str]) -> str:
    text = _minus_after.sub(" minus ", match[0])
    text = _negative.sub("minus ", text)
    text = re.sub(r"(?<=[\d)])\s?x\s?(?=[\d(])", " times ", text)
    is_fraction = re.compile(r"(?<![\d/])\d+/\d+(?![\d/])")
    if not (is_fraction.search(text) and " / " not in text):
        text = _divided.sub(" divided by ", text)
    return text


def name_characters(text: str) -> str:
    return text.translate(_named)


def write_ascii(text: str) -> str:
    """Write other scripts in Latin letters, and name emoji and symbols."""
    if text.isascii():
        return _emoji.sub(_say_emoji, text) if ":" in text else text
    text = _flag.sub(lambda match: f" flag {' '.join(chr(ord(c) - 0x1F1E6 + ord('a')) for c in match[0])} ", text)
    text = "".join(
        f" {_name_symbol(c)} " if not c.isascii() and unicodedata.category(c) in ("So", "Sm", "Sc") else c for c in text
    )
    return _emoji.sub(_say_emoji, anyascii(text))


def _name_symbol(character: str) -> str:
    if character in EMOJI:
        return EMOJI[character]
    name = unicodedata.name(character, "").lower()
    if name.startswith(("circled ", "parenthesized ", "square ", "squared ")) and not name.endswith("square"):
        return anyascii(character)
    return re.sub(r" (?:sign|face|symbol)$", "", name)


def _say_emoji(match: re.Match[str]) -> str:
    return f" {match[1].replace('_', ' ')} "
