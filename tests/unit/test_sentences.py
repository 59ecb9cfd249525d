"""A text that arrives in pieces is cut at the ends of sentences."""

import pytest

from convai.talk.sentences import SentenceCutter


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Hello there. How are", "Hello there. "),
        ("Is it? It is! Dr. Smith saw Capt. Hook at approx. 5 p.m. on", "Is it? It is! "),
        ('He said "Stop now!" and', ""),
        ("See (the house. It is) there. Then", "See (the house. It is) there. "),
        ("See (the house. It is", ""),
        ("**Turn left. Turn right", ""),
        ('<speak>Hello there. <sub alias="Well. Done', ""),
        ('<sub alias="Doctor">Dr. No! Then', ""),
        ("a " * 2500 + "b", "a " * 2500),
    ],
)
def test_a_text_is_cut_only_where_it_can_be_spoken_alone(text, spoken):
    assert SentenceCutter().add(text) == spoken
    cutter = SentenceCutter()
    parts = [cutter.add(text[start : start + 9]) for start in range(0, len(text), 9)]
    assert "".join([*parts, cutter.rest]) == text
