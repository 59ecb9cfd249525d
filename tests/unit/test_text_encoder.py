"""Texts are spelled out as they are spoken and become the symbols of NVIDIA's Tacotron 2."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from convai.backends.steps.pronunciations import load_pronunciations
from convai.backends.steps.text_encoder import TextEncoder, symbol_ids
from convai.errors import InvalidArgument
from convai.generator.targets import Buckets
from convai.text.symbols import SYMBOL_IDS, SYMBOLS
from convai.text.text_normalizer import normalise_text

SPOKEN = [
    ("In 1066, 1905 and 2024.", "in ten sixty-six, nineteen oh five and twenty twenty-four."),
    ("2000, 2005", "two thousand, two thousand five"),
    ("the 1990s, the '60s, the 1800s", "the nineteen nineties, the sixties, the eighteen hundreds"),
    ("1914–1918", "nineteen fourteen to nineteen eighteen"),
    ("2020-01-31", "january thirty-first, twenty twenty"),
    ("1st, 22nd, 103rd, 1,000th", "first, twenty-second, one hundred third, one thousandth"),
    ("3.14 and 0.05", "three point one four and zero point zero five"),
    ("1,234,567", "one million two hundred thirty-four thousand five hundred sixty-seven"),
    ("007 and 12345678901", "zero zero seven and one two three four five six seven eight nine zero one"),
    ("1-800-555-0199", "one, eight zero zero, five five five, zero one nine nine"),
    ("version 1.2.3", "version one point two point three"),
    ("$5, $1.50, $0.01", "five dollars, one dollar, fifty cents, one cent"),
    ("£3.5 million, €1,000", "three point five million pounds, one thousand euros"),
    ("5%, 12.5 %", "five percent, twelve point five percent"),
    ("10:30 a.m., 9:05 PM, 12:00", "ten thirty a m, nine oh five p m, twelve o'clock"),
    ("½ or 2½", "one half or two and a half"),
    ("-5°C, 100 km/h, 6'2\"", "minus five degrees celsius, one hundred kilometers per hour, six feet two inches"),
    ("6 ft. tall, 5 KG, 6 lbs.", "six feet tall, five kilograms, six pounds."),
    ("Dr. Smith vs. Mrs. O'Brien Jr.", "doctor smith versus missus o'brien junior"),
    ("Is he a st. or a drs.?", "is he a saint or a doctors?"),
    ("World War II, Louis XIV's, Malcolm X", "world war two, louis the fourteenth's, malcolm x"),
    ("the U.S.A. and the BBC but NASA", "the u s a and the b b c but nasa"),
    ("R&D, a+b=c, a@b.com, #1", "r and d, a plus b equals c, a at b dot com, number one"),
    ("“Café” — naïve", "cafe, naive"),
    ("Москва 😀 東京", "moskva grinning dongjing"),
    ("４２ and ٤٢", "forty-two and forty-two"),
    ("  a \r\n b\u200b\tc  ", "a b c"),
    ("what?!... yes", "what? yes"),
    ("F-16, H2O, 4x4", "f-sixteen, h two o, four by four"),
]


def make_step(**parameters):
    return TextEncoder(**Buckets().parameters_of("text_encoder") | parameters)


def run(text, **parameters):
    result = make_step(**parameters)(text=text)
    return result["symbol_ids"], int(result["symbols_length"][0])


def decoded(ids):
    return "".join(SYMBOLS[number] for number in ids)


@pytest.mark.parametrize(("written", "spoken"), SPOKEN)
def test_texts_are_spelled_out(written, spoken):
    assert normalise_text(written) == spoken
    assert normalise_text(spoken) == spoken


def test_random_mixtures_of_characters_leave_only_symbols():
    rng = np.random.default_rng(0)
    alphabet = list("aZ09.,-'$£%:/°#{}() \n½²😀語ש٣\u0301\u200b\ufeff\x00IVX")
    for _ in range(500):
        text = normalise_text("".join(rng.choice(alphabet, size=rng.integers(0, 30))))
        assert set(text) <= set("abcdefghijklmnopqrstuvwxyz !'(),.:;?-")
        assert text == " ".join(text.split())


@pytest.mark.timeout(30)  # a pattern that scans the text once per character takes minutes
@pytest.mark.parametrize("part", ["1", "1,", "- ", "\t", "½", "a."])
def test_a_long_odd_text_is_normalised_in_linear_time(part):
    assert len(normalise_text((part * 16_384)[:16_384])) < 10 * 16_384


def test_symbols_are_in_the_order_of_nvidia():
    assert len(SYMBOLS) == len(SYMBOL_IDS) == 148
    assert SYMBOLS[:12] == tuple("_-!'(),.:;? ")
    assert (SYMBOL_IDS["A"], SYMBOL_IDS["a"], SYMBOL_IDS["z"]) == (12, 38, 63)
    assert (SYMBOLS[64], SYMBOLS[147]) == ("@AA", "@ZH")


def test_a_text_becomes_its_symbols_padded_with_zeros_to_a_bucket():
    ids, length = run("Hello, Bob!")
    assert decoded(ids[:length]) == "hello, bob!"
    assert ids.shape == (32,)
    assert ids.dtype == np.int64
    assert not ids[length:].any()


@pytest.mark.parametrize(
    ("text", "spoken"), [("yes", "yes."), ("yes. ", "yes."), ("yes?", "yes?"), ("(yes)", "(yes)."), ("yes,", "yes.")]
)
def test_every_text_ends_in_punctuation_and_without_a_space(text, spoken):
    assert make_step().spell_out(text) == spoken


def test_phonemes_in_braces_are_kept():
    text = "Turn {HH AW1 S} 5, {not phonemes}."
    assert make_step().spell_out(text) == "turn {HH AW1 S} five, not phonemes."
    ids = symbol_ids("a {HH AW1}.")
    assert ids == [SYMBOL_IDS[symbol] for symbol in ("a", " ", "@HH", "@AW1", ".")]


@pytest.fixture
def dictionary(tmp_path):
    path = tmp_path / "words.dict"
    path.write_text(";;; comment\nHELLO  HH AH0 L OW1\nhello(2) HH EH0 L OW1\ntwo T UW1 # number\n")
    return str(path)


def test_known_words_become_phonemes_and_unknown_ones_keep_their_letters(dictionary, tmp_path):
    step = make_step(pronunciation="arpabet", pronunciations_file=dictionary)
    assert step.spell_out("Hello 2 Bobs, {B}.") == "{HH AH0 L OW1} {T UW1} bobs, {B}."
    packed = tmp_path / "words.dict.gz"
    packed.write_bytes(gzip.compress(Path(dictionary).read_bytes()))
    assert load_pronunciations(str(packed)) == load_pronunciations(dictionary) != {}


def test_the_letter_a_is_not_said_as_the_article(tmp_path):
    path = tmp_path / "words.dict"
    path.write_text("a AH0\ni AY1\nu Y UW1\ns EH1 S\n")
    step = make_step(pronunciation="arpabet", pronunciations_file=str(path))
    assert step.spell_out("AI") == "{EY1} {AY1}."
    assert step.spell_out("the USA, a cat") == "the {Y UW1} {EH1 S} {EY1}, {AH0} cat."
    assert step.spell_out("am I a cat") == "am {AY1} {AH0} cat."


def test_a_dictionary_with_unknown_phonemes_is_refused(tmp_path):
    path = tmp_path / "words.dict"
    path.write_text("hello X1\n")
    with pytest.raises(InvalidArgument, match="pronunciations_file: expected ARPAbet phonemes for 'hello', got 'X1'"):
        load_pronunciations(str(path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one word, got none in 0 characters"),
        ("...", "at least one word, got none in 3 characters"),
        ("\u200b", "at least one word, got none in 1 characters"),
        ("a" * 600, "at most 600 symbols, got 601 symbols; text_to_speech_stream takes longer texts"),
        ("9" * 200, r"at most 600 symbols, got \d+ symbols; text_to_speech_stream"),
        ("1" * 1_000_000, "at most 600 symbols, got 1000000 characters; text_to_speech_stream"),
    ],
)
def test_a_text_without_a_word_or_above_the_limit_is_refused(text, message):
    with pytest.raises(InvalidArgument, match=f"^text: expected {message}"):
        run(text)


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"buckets": []}, "buckets"),
        ({"pronunciation": "ipa"}, "pronunciation"),
        ({"pronunciation": "arpabet"}, "pronunciations_file"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, field):
    with pytest.raises(InvalidArgument, match=f"^{field}: expected"):
        make_step(**parameters)
