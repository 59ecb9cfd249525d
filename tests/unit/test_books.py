"""Sentences of books reach the language model, but none that measured recordings say."""

import json

from training.language_model.books import main, sentences_of

BOOK = """Title: The Mill

*** START OF THE PROJECT GUTENBERG EBOOK THE MILL ***

CHAPTER ONE

The miller\u2019s daughter _never_ slept; she said: "The wheel
turns all night long." Nobody believed her in 1850.

The quick grey fox ran over the old stone bridge. It was late.

*** END OF THE PROJECT GUTENBERG EBOOK THE MILL ***
Nothing of the licence is read here.
"""


def test_a_book_is_read_from_its_first_chapter_to_its_end_as_a_listener_writes_it_down():
    assert list(sentences_of(BOOK)) == [
        "the miller's daughter never slept she said the wheel turns all night long",
        "the quick grey fox ran over the old stone bridge",
        "it was late",
    ]


def test_a_sentence_that_shares_six_words_with_a_measured_recording_is_left_out(tmp_path, capsys):
    (tmp_path / "books").mkdir()
    for name in ("a", "b"):  # different folders often hold the same book
        (tmp_path / "books" / name).mkdir()
        (tmp_path / "books" / name / "mill.txt").write_text(BOOK, encoding="utf-8")
    recording = {"audio": "a.wav", "text": "a fox ran over the old stone bridge again", "speaker": "someone"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(recording) + "\n")
    out = tmp_path / "books.txt"
    main(["--folder", str(tmp_path / "books"), "--without", str(tmp_path / "manifest.jsonl"), "--out", str(out)])
    assert out.read_text().splitlines() == [
        "the miller's daughter never slept she said the wheel turns all night long",
        "it was late",
    ]
    assert "1 books, 16 words; 1 sentences left out" in capsys.readouterr().out
