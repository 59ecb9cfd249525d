import subprocess
import sys
from pathlib import Path

import pytest

from convai.__main__ import COMMANDS, main

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
