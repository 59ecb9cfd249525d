"""The commands and the Python example of the pages run as they stand there."""

import shutil
from contextlib import redirect_stdout
from io import StringIO

import pytest
from support.pages import blocks, convai_commands
from support.places import EXAMPLES

from convai.__main__ import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with the files that the commands name."""
    shutil.copy(EXAMPLES / "question.wav", tmp_path / "question.wav")
    shutil.copy(EXAMPLES / "context.txt", tmp_path / "text.txt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", [words for words in convai_commands("ask") if "--server" not in words], ids=" ".join)
def test_asking_works_in_a_folder_with_such_files(words, folder, server):
    assert main([*words, "--server", server.grpc_address]) == 0
    for option in ("--out", "--plot", "--trace"):
        if option in words:
            assert (folder / words[words.index(option) + 1]).stat().st_size > 1000


def test_the_python_example_runs(server, example_question, example_context):
    names, printed = run_example("README.md", server, example_question, example_context)
    assert len(printed.split()) >= 4
    assert names["speech"].ndim == 1 and len(names["speech"]) > 1000
    assert sum(map(len, names["played"])) > 1000


def test_the_streaming_example_runs(server, example_question, example_context):
    names, printed = run_example("talk.md", server, example_question, example_context)
    assert len(printed.split()) >= 4
    assert len(names["played"]) >= 5


def run_example(page, server, question, context):
    """The names that the page's example of `ask_stream` leaves, and what it prints; what it plays is in `played`."""
    (block,) = [block for block in blocks("python", page) if "ask_stream(" in block.text]
    samples, rate = question
    played = []
    names = {"samples": samples if rate == 16_000 else None, "text": context, "book": context, "played": played}
    names["play"] = lambda audio, sample_rate=22_050: played.append(audio)
    with redirect_stdout(StringIO()) as printed:
        exec(block.text.replace("127.0.0.1:8001", server.grpc_address), names)
    return names, printed.getvalue()


@pytest.mark.parametrize("words", [words for words in convai_commands("speak") if "--out" in words], ids=" ".join)
def test_speaking_works_in_a_folder_with_such_a_file(words, folder, server):
    shutil.copy(folder / "text.txt", folder / "book.txt")
    assert main([*words, "--server", server.grpc_address]) == 0
    assert (folder / words[words.index("--out") + 1]).stat().st_size > 1000
