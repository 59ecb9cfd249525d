import logging
import subprocess
import sys
import tomllib
from importlib import import_module

import numpy as np
import pytest
from support.places import ROOT

from convai.__main__ import COMMANDS, OPTION_EXTRAS, main
from convai.program import EscapingFormatter, escape_controls, to_json

FOLDERS = ("convai", "training", "benchmarks")


def test_help_lists_every_command_without_importing_any():
    """In an interpreter of its own; in this one other tests have imported them."""
    program = (
        "import sys; from convai.__main__ import COMMANDS, main\n"
        "try: main(['--help'])\n"
        "finally: assert not ({command.module for command in COMMANDS.values()} | {'numpy'}) & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


def test_an_unknown_command_gets_the_usage_and_status_2(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["sing"])
    assert exit.value.code == 2
    assert "usage: convai" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as exit:
        main([name, "--help"])
    assert exit.value.code == 0
    help = capsys.readouterr().out
    assert f"convai {name}" in help and "--debug" in help


@pytest.fixture
def without(monkeypatch):
    """Make a package, and our modules that import it, appear as not installed and not imported yet."""

    def remove(package, *importers):
        monkeypatch.setitem(sys.modules, package, None)
        for importer in importers:
            monkeypatch.delitem(sys.modules, importer, raising=False)

    return remove


def test_a_missing_package_of_a_command_is_reported_with_its_extra(without, capsys):
    without("jinja2", "convai.generator.generate", "convai.generator.render")
    assert main(["generate", "--check"]) == 1
    assert capsys.readouterr().err == (
        "convai generate: the Python package jinja2 is missing; "
        "install convai's extra 'server': pip install '.[server]' in a clone of convai\n"
    )


def test_a_missing_package_of_an_option_is_reported_before_anything_is_asked(without, capsys):
    without("matplotlib")
    assert main(["ask", "question.wav", "--context", "text.txt", "--plot", "answer.png"]) == 1
    assert (
        "convai ask: the Python package matplotlib is missing; install convai's extra 'plot'" in capsys.readouterr().err
    )


def test_speak_prints_a_text_as_it_will_be_said_without_a_server(capsys):
    assert main(["speak", "--print", 'Dr. Smith owes $5M.<break time="1s"/>Who?']) == 0
    assert main(["speak", "--print=-$5.50"]) == 0
    assert capsys.readouterr().out == "doctor smith owes five million dollars.\nwho?\nminus five dollars, fifty cents\n"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--out", "a.wav"], "--text: expected --text and --out, or --print, got no --text"),
        (["--text", "a.txt"], "--out: expected --text and --out, or --print, got no --out"),
        (["--print", "..."], "--print: expected at least one word, got none in 3 characters"),
    ],
)
def test_speak_names_the_option_that_it_lacks(options, error, capsys):
    assert main(["speak", *options]) == 1
    assert capsys.readouterr().err == f"convai speak: {error}\n"


def test_printing_what_will_be_said_names_the_extra_that_it_needs(without, capsys):
    without("num2words", *[name for name in sys.modules if name.startswith("convai.text.")])
    assert main(["speak", "--print", "5"]) == 1
    assert "the Python package num2words is missing; install convai's extra 'server'" in capsys.readouterr().err


def test_every_extra_that_a_command_names_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {command.extra for command in COMMANDS.values()} - {None} | set(OPTION_EXTRAS.values()) <= set(extras)


def test_ctrl_c_ends_a_command_quietly(tmp_path, monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("convai.client.ask.run", interrupt)
    assert main(["ask", "question.wav", "--context", "context.txt"]) == 130
    assert capsys.readouterr() == ("", "")


ASK = ["ask", "question.wav", "--context", "context.txt"]


def test_an_invalid_argument_is_one_line_and_a_bug_is_reported_as_one(monkeypatch, capsys):
    def add_unequal_shapes(args):
        return np.zeros(2) + np.zeros(3)

    assert main(ASK) == 1
    assert capsys.readouterr().err == "convai ask: --context: cannot read context.txt: No such file or directory\n"

    monkeypatch.setattr("convai.client.ask.run", add_unequal_shapes)
    assert main(ASK) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("convai ask: ValueError: operands could not be broadcast")
    assert "This is a bug in convai. Please report it; run again with --debug for the traceback." in printed
    assert "Traceback" not in printed


def test_debug_shows_the_traceback_of_an_error(monkeypatch, capsys):
    assert main([*ASK, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err

    monkeypatch.setattr("convai.client.ask.run", lambda args: {}["missing"])
    assert main([*ASK, "--debug"]) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed and "KeyError: 'missing'" in printed and "a bug in convai" in printed


def test_a_package_that_is_not_installed_is_not_a_bug(monkeypatch, capsys):
    monkeypatch.setattr("convai.client.ask.run", lambda args: import_module("no_such_package"))
    assert main(ASK) == 1
    assert capsys.readouterr().err.startswith("convai ask: the Python package no_such_package is not installed")


def programs():
    """The modules that are run by `python -m`."""
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    modules = [
        file.relative_to(ROOT).with_suffix("") for file in files if 'if __name__ == "__main__"' in file.read_text()
    ]
    return sorted({".".join(module.parts) for module in modules} - {"convai.__main__"})


@pytest.mark.parametrize("module", programs())
def test_every_program_takes_debug_and_has_its_own_main(module, capsys):
    with pytest.raises(SystemExit) as exit:
        import_module(module).main(["--help"])
    assert exit.value.code == 0
    assert "--debug" in capsys.readouterr().out


def test_controls_are_escaped_before_they_reach_a_terminal_or_a_log():
    assert escape_controls("a\x1b[2J\u202eb\xa0ü\n") == "a\\x1b[2J\\u202eb\xa0ü\\n"
    assert to_json(["a\x9b2J\u202eb\xa0ü\n"]) == '["a\\u009b2J\\u202eb\xa0ü\\n"]'
    try:
        raise ValueError("\x1bb")
    except ValueError:
        record = logging.LogRecord("", logging.ERROR, "", 0, "a\n%s", ("\x1bb",), sys.exc_info())
    first, *traceback = EscapingFormatter().format(record).split("\n")
    assert first == "a\\n\\x1bb" and traceback[-1] == "ValueError: \\x1bb"
