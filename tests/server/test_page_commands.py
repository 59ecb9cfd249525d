"""The commands and the Python example of the pages run as they stand there."""

import shutil
from contextlib import redirect_stdout
from io import StringIO

import pytest
import soundfile
from support.pages import blocks, convai_commands
from support.places import EXAMPLES

from convai.__main__ import main
from convai.networks.jasper.model import CONFIGS, Jasper


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
    (block,) = blocks("python", "README.md")
    samples, rate = example_question
    names = {"samples": samples if rate == 16_000 else None, "text": example_context}
    with redirect_stdout(StringIO()) as printed:
        exec(block.text.replace("127.0.0.1:8001", server.grpc_address), names)
    assert len(printed.getvalue().split()) >= 4
    assert names["speech"].ndim == 1 and len(names["speech"]) > 1000


def test_inspecting_a_checkpoint_works(folder, capsys):
    import torch

    torch.save({"state_dict": Jasper(CONFIGS["jasper10x5dr"]).half().state_dict()}, folder / "jasper_fp16.pt")
    (words,) = convai_commands("weights")
    assert main(words) == 0
    assert "jasper10x5dr" in capsys.readouterr().out


def test_the_example_question_is_at_the_rate_that_the_python_example_states():
    assert soundfile.info(EXAMPLES / "question.wav").samplerate == 16_000
