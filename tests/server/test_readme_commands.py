"""The commands and the Python example of the README run as they stand there."""

import re
import shlex
import shutil
from contextlib import redirect_stdout
from io import StringIO

import pytest
import soundfile
from support.places import EXAMPLES, ROOT

from convai.__main__ import COMMANDS, main, parser
from convai.networks.jasper.model import CONFIGS, Jasper

README = (ROOT / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands():
    """Every `convai` command of the README, as a list of words."""
    lines = (line for block in blocks("bash") for line in block.splitlines())
    words = (shlex.split(line, comments=True) for line in lines)
    return [line[1:] for line in words if line and line[0].endswith("convai")]


def named(command):
    return [words for words in commands() if words[0] == command]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with the files that the README's commands name."""
    shutil.copy(EXAMPLES / "question.wav", tmp_path / "question.wav")
    shutil.copy(EXAMPLES / "context.txt", tmp_path / "text.txt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_command_line_understands_it(words):
    from importlib import import_module

    module = import_module(COMMANDS[words[0]].module)
    parser(words[0], module).parse_args(words[1:])


@pytest.mark.parametrize("words", [words for words in named("ask") if "--server" not in words], ids=" ".join)
def test_asking_works_in_a_folder_with_such_files(words, folder, server):
    assert main([*words, "--server", server.grpc_address]) == 0
    for option in ("--out", "--plot", "--trace"):
        if option in words:
            assert (folder / words[words.index(option) + 1]).stat().st_size > 1000


def test_the_python_example_runs(server, example_question, example_context):
    (block,) = blocks("python")
    samples, rate = example_question
    names = {"samples": samples if rate == 16_000 else None, "text": example_context}
    with redirect_stdout(StringIO()) as printed:
        exec(block.replace("127.0.0.1:8001", server.grpc_address), names)
    assert len(printed.getvalue().split()) >= 4
    assert names["speech"].ndim == 1 and len(names["speech"]) > 1000


def test_inspecting_a_checkpoint_works(folder, capsys):
    import torch

    torch.save({"state_dict": Jasper(CONFIGS["jasper10x5dr"]).half().state_dict()}, folder / "jasper_fp16.pt")
    (words,) = named("weights")
    assert main(words) == 0
    assert "jasper10x5dr" in capsys.readouterr().out


def test_the_example_question_is_at_the_rate_that_the_python_example_states():
    assert soundfile.info(EXAMPLES / "question.wav").samplerate == 16_000
