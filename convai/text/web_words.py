"""Words of e-mail and web addresses, hashtags, and names with signs, such as C#."""

import re

from convai.text.number_words import cardinal, number, one_by_one

DOMAINS = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|dev|app|co|me|tv|uk|us|de|fr|eu|ca|au|nz|jp|cn|in|it|es|nl|ch|at|se|no"
    "|dk|fi|pl|ru|br|mx|za|ie|be|xyz|cloud|online|shop|site|tech|blog|page|wiki|museum|ly"
)
READ_AS_WORDS = frozenset("co me in at no be so is to my by go we us it on up an or ad".split())
SIGNS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", ":": "colon", "@": "at", "?": "question mark",
    "=": "equals", "&": "and", "#": "hash", "%": "percent", "~": "tilde", "+": "plus", ",": "comma",
    "!": "exclamation mark",
    "*": "star", "$": "dollar", "'": "apostrophe", ";": "semicolon",
}  # fmt: skip
NAMES = {"C#": "c sharp", "F#": "f sharp", "J#": "j sharp", "A#": "a sharp", "D#": "d sharp", "G#": "g sharp",
         "C++": "c plus plus", "c++": "c plus plus", ".NET": "dot net", "c#": "c sharp", "G++": "g plus plus",
         "g++": "g plus plus"}  # fmt: skip

_name = re.compile(r"(?<![\w#+])(?:[A-DFGJ]#|c#|[Ccg]\+\+|G\+\+|\.NET\b)(?![\w#+])")
_email = re.compile(r"(?<![\w.+%-])[\w.+%-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}(?![\w@])")
_path = r"(?::\d{1,5}(?!\d))?(?:[/?#][^\s<>\"()\[\]{}]*)?"
_url = re.compile(
    rf"(?<![\w@])(?:(?:https?|ftp)://|(?=www\.))[A-Za-z0-9](?:[A-Za-z0-9.-]{{0,252}}[A-Za-z0-9])?{_path}", re.IGNORECASE
)
_bare = re.compile(
    rf"(?<![\w@./:-])(?=\w{{1,63}}[.-])[A-Za-z0-9][A-Za-z0-9-]{{0,62}}(?:\.[A-Za-z0-9-]{{1,63}}){{0,4}}\.(?:{DOMAINS})(?![\w-]){_path}"
)
_maybe_bare = re.compile(r"\.[a-z]")  # is in every such address and found in a twentieth of the time
_path_name = re.compile(
    r"(?<![\w/.<:)])(?:(?:~|\.\.?)/|/(?=[\w.-]+/\w))(?:[\w.-]+/){0,20}[\w-][\w.-]*(?<![.-])(?![/'])"
)  # ./run.sh
_hashtag = re.compile(r"(?<![\w&#/])#(?=\w*[A-Za-z])(\w+)")
_mention = re.compile(r"(?<![\w@.])@(?=\w*[A-Za-z_])(\w{2,30})(?!@)")
_part = re.compile(r"[A-Za-z]+|\d+|[^\sA-Za-z\d]")
_camel = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
_vowel = re.compile(r"[aeiouy]")


def say_addresses(text: str) -> str:
    """Replace addresses, hashtags and names with signs."""
    if "#" in text or "++" in text or ".NET" in text:
        text = _name.sub(lambda match: NAMES[match[0]], text)
    if "@" in text:
        text = _email.sub(lambda match: _pad(match, say_address(match[0])), text)
        text = _mention.sub(lambda match: f"at {_say_tag(match[1])}", text)
    if "." in text or "://" in text:
        text = _url.sub(_say_url, text)
    if "/" in text:
        text = _path_name.sub(_say_url, text)
    if _maybe_bare.search(text):
        text = _bare.sub(_say_url, text)
    return _hashtag.sub(lambda match: f"hashtag {_say_tag(match[1])}", text) if "#" in text else text


def say_address(address: str) -> str:
    """Words of an address: names as words, their endings and what has no vowel by letter, digits, and every sign."""
    parts = _part.findall(address)
    return " ".join(_say_part(part, parts[index - 1] if index else "") for index, part in enumerate(parts))


def _say_url(match: re.Match[str]) -> str:
    address = match[0]
    trailing = re.search(r"[.,:;!?'*_~]*$", address)
    assert trailing is not None
    address = re.sub(r"^\w+://", "", address[: trailing.start()]).removesuffix("/")
    return _pad(match, say_address(address)) + trailing[0]


def _pad(match: re.Match[str], words: str) -> str:
    before = match.string[match.start() - 1 : match.start()]
    return f" {words}" if before.isalnum() else words


def _say_part(part: str, before: str) -> str:
    if part.isdecimal():
        if len(part) == 4 and part[:2] in ("19", "20"):
            return number(part)
        return cardinal(part) if len(part) < 3 else one_by_one(part)
    if not part.isalpha() or not part.isascii():
        return SIGNS.get(part, part)
    word = part.lower()
    by_letter = (
        not _vowel.search(word)
        or word in ("html", "edu", "api", "url", "ai", "io", "aws", "www")
        or (len(word) == 2 and word not in READ_AS_WORDS or (before == "." and word in ("us", "it", "is")))
    )
    return " ".join(word) if by_letter else word


def _say_tag(tag: str) -> str:
    """Words of a hashtag or user name, which are told apart by capitals and underscores."""
    return _camel.sub(" ", tag.replace("_", " "))
