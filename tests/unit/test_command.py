import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from convai.__main__ import COMMANDS, OTHER_EXTRAS, main

ROOT = Path(__file__).parent.parent.parent


def test_help_lists_every_command_without_importing_any():
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
def test_each_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as exit:
        main([name, "--help"])
    assert exit.value.code == 0
    assert f"convai {name}" in capsys.readouterr().out


@pytest.fixture
def without(monkeypatch):
    """Make a package and whatever of ours imports it appear as not installed and not imported yet."""

    def remove(package, *importers):
        monkeypatch.setitem(sys.modules, package, None)
        for importer in importers:
            monkeypatch.delitem(sys.modules, importer, raising=False)

    return remove


def test_a_command_whose_package_is_missing_tells_the_extra(without, capsys):
    without("jinja2", "convai.generator.generate", "convai.generator.render")
    assert main(["generate", "--check"]) == 1
    assert capsys.readouterr().err == "convai generate: jinja2 is not installed: pip install 'convai[server]'\n"


def test_a_missing_package_of_an_option_is_told_before_anything_is_asked(without, capsys):
    without("matplotlib")
    assert main(["ask", "question.wav", "--context", "text.txt", "--plot", "answer.png"]) == 1
    assert capsys.readouterr().err == "convai ask: matplotlib is not installed: pip install 'convai[plot]'\n"


def test_every_extra_that_a_command_names_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {command.extra for command in COMMANDS.values()} - {None} | set(OTHER_EXTRAS.values()) <= set(extras)


def test_ctrl_c_ends_a_command_quietly(tmp_path, monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("convai.client.ask.run", interrupt)
    assert main(["ask", "question.wav", "--context", "context.txt"]) == 130
    assert capsys.readouterr() == ("", "")


def test_the_console_command_returns_the_status():
    result = subprocess.run(
        [sys.executable, "-m", "convai", "ask", "missing.wav", "--context", "missing.txt"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
    )
    assert result.returncode == 1
    assert result.stderr == "convai ask: --context: cannot read missing.txt: No such file or directory\n"
