"""The scripts that replay trainings name programs, options and files that there are."""

import json
import subprocess
import sys
from argparse import Namespace
from importlib import import_module
from pathlib import Path

import pytest
from support.places import ROOT

SCRIPTS = sorted((ROOT / "runs").glob("*.sh"))
DATA = (
    *("SQUAD", "SQUAD_DEV", "COMMON_VOICE", "LJ_SPEECH", "KATHLEEN", "AN4", "SPEECHOCEAN762", "ENCODER"),
    *("RESEMBLYZER", "FOUR_READERS", "COFFEE", "WAKE_WORDS", "DIGITS", "VCTK"),
    *("VCTK_WORLD", "VCTK_DEMOS", "DEV_CLEAN", "DEEP_SPEAKER", "NOISE"),
)
JOINED = "sentences.txt"  # the one file that a script makes by itself

# Stands for `python`: notes its arguments, and leaves what the real program would, as far as a script looks at it.
FAKE_PYTHON = f"""#!{sys.executable} -IS
import json, pathlib, sys
with open(pathlib.Path(__file__).with_name("calls.jsonl"), "a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
if not out.suffix:
    out.mkdir(parents=True, exist_ok=True)
    out /= "state.pt" if sys.argv[2].endswith(".train") else "manifest.jsonl"
out.touch()
"""


@pytest.fixture(scope="module", params=SCRIPTS, ids=lambda script: script.stem)
def script(request):
    return request.param


@pytest.fixture(scope="module")
def folder(script, tmp_path_factory):
    """A folder of the script's own with texts, and a fake `python` beside them."""
    folder = tmp_path_factory.mktemp(script.stem)
    for name in ("bin", "data"):
        (folder / name).mkdir()
    (folder / "bin" / "python").write_text(FAKE_PYTHON)
    (folder / "bin" / "python").chmod(0o755)
    for name in ("COMMON_VOICE", "LJ_SPEECH"):
        (folder / "data" / name).write_text("a sentence\n")
    return folder


@pytest.fixture(scope="module")
def calls(script, folder):
    """Arguments of the calls of `python` that a script makes at first."""
    return replay(script, folder)


@pytest.fixture(scope="module")
def later_calls(calls, script, folder):
    """Likewise when the script is started once more."""
    return replay(script, folder)


def replay(script: Path, folder: Path) -> list[list[str]]:
    notes = folder / "bin" / "calls.jsonl"
    notes.unlink(missing_ok=True)
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", **{name: str(folder / "data" / name) for name in DATA}}
    subprocess.run(["bash", script], cwd=folder, env=environment, check=True, timeout=60)
    return [json.loads(line) for line in notes.read_text().splitlines()]


def parsed(call: list[str]) -> Namespace:
    """What the program itself makes of a command line `python -m convai...`; exits if it does not know an option."""
    dash_m, module, *options = call
    assert dash_m == "-m"
    return import_module(module).build_parser().parse_args(options)


def trainings(calls: list[list[str]]) -> list[Namespace]:
    return [parsed(call) for call in calls if call[1].endswith(".train")]


def files_read(arguments: Namespace) -> list[Path]:
    read = {name: value for name, value in vars(arguments).items() if name not in ("out", "cache")}
    values = [value if isinstance(value, list) else [value] for value in read.values()]
    return [one for value in values for one in value if isinstance(one, Path)]


def test_every_card_has_its_script():
    cards = {card.stem for card in (ROOT / "weights").glob("*.md")} | {"language_model", "rescorer"}
    assert {script.stem for script in SCRIPTS} == cards


def test_the_shell_can_read_it_and_it_stops_at_the_first_failure(script):
    subprocess.run(["bash", "-n", script], check=True)
    assert "\nset -euo pipefail\n" in script.read_text()


def test_the_programs_know_every_option(calls):
    assert calls
    for call in calls:
        parsed(call)


def test_whatever_it_learns_from_is_named_at_its_top_or_made_before(calls, folder):
    known = {folder / "data"}
    for arguments in map(parsed, calls):
        for file in files_read(arguments):
            path = folder / file
            assert known & {path, *path.parents} or path.name == JOINED, file
        known.add(folder / arguments.out)


def test_started_again_it_goes_on_instead_of_starting_over(calls, later_calls):
    assert len(trainings(later_calls)) == len(trainings(calls))
    assert all(arguments.resume for arguments in trainings(later_calls))
    assert not any(arguments.init for arguments in trainings(later_calls))
