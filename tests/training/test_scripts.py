"""The scripts that replay trainings name programs, options and files that exist."""

import json
import subprocess
import sys
import tarfile
from argparse import Namespace
from importlib import import_module
from pathlib import Path

import pytest
from support.places import ROOT

SHORT = ROOT / "training/short_gpu.sh"  # replays nothing
SCRIPTS = sorted({*(ROOT / "training").glob("*.sh")} - {SHORT})
DATA = (
    *("SQUAD", "SQUAD_DEV", "COMMON_VOICE", "LJ_SPEECH", "EVERYDAY", "BOOKS", "KATHLEEN", "AN4", "SPEECHOCEAN762"),
    *("ENCODER", "RESEMBLYZER", "FOUR_READERS", "COFFEE", "WAKE_WORDS", "DIGITS", "VCTK", "VCTK_WORLD", "VCTK_DEMOS"),
    *("DEV_CLEAN", "DEEP_SPEAKER", "SPEECHOCEAN762_ALL", "ARCTIC", "VCTK_TRUE", "ASTERISK", "NOISE"),
)
JOINED = "sentences.txt"  # the one file that a script makes itself

# Stands for `python`: notes its arguments, and leaves the files of the real program that a script looks for.
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
    """A folder with texts and a fake `python`."""
    folder = tmp_path_factory.mktemp(script.stem)
    for name in ("bin", "data"):
        (folder / name).mkdir()
    (folder / "bin" / "python").write_text(FAKE_PYTHON)
    (folder / "bin" / "python").chmod(0o755)
    for name in ("COMMON_VOICE", "LJ_SPEECH"):
        (folder / "data" / name).write_text("a sentence\n")
    return folder


@pytest.fixture(scope="module")
def replays(script, folder):
    """Command lines of `python` when the script runs, and when it runs again."""
    return [replay(script, folder) for _ in range(2)]


def replay(script: Path, folder: Path, *words: str) -> list[tuple[str, Namespace]]:
    """The modules that a script runs, with their options as the modules parse them."""
    notes = folder / "bin" / "calls.jsonl"
    notes.unlink(missing_ok=True)
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", **{name: str(folder / "data" / name) for name in DATA}}
    subprocess.run(["bash", script, *words], cwd=folder, env=environment, check=True, timeout=60)
    calls = [json.loads(line) for line in notes.read_text().splitlines()]
    assert all(dash_m == "-m" for dash_m, *_ in calls)
    return [(module, import_module(module).build_parser().parse_args(options)) for _, module, *options in calls]


def find_input_files(arguments: Namespace) -> list[Path]:
    values = [value for name, value in vars(arguments).items() if name not in ("out", "cache")]
    values = [one for value in values for one in (value if isinstance(value, list) else [value])]
    values = [value[0] if isinstance(value, tuple) else value for value in values]  # manifest and copies
    return [value for value in values if isinstance(value, Path)]


def test_every_card_has_its_script():
    cards = {card.stem for card in (ROOT / "weights").glob("*.md")} | {"language_model", "rescorer"}
    assert {script.stem for script in SCRIPTS} == cards


def test_a_script_stops_at_the_first_failure(script):
    assert "\nset -euo pipefail\n" in script.read_text()


def test_all_input_is_named_at_the_top_or_made_before(replays, folder):
    known = {folder / "data"}
    for _, arguments in replays[0]:
        for file in find_input_files(arguments):
            path = folder / file
            assert known & {path, *path.parents} or path.name == JOINED, file
        known.add(folder / arguments.out)


def test_a_script_that_runs_again_resumes_its_trainings(replays, script):
    first, again = ([arguments for module, arguments in calls if module.endswith(".train")] for calls in replays)
    assert len(first) == len(again)
    assert bool(first) == (script.stem != "language_model")
    assert all(arguments.resume and not arguments.init for arguments in again)


def test_the_short_run_trains_on_what_was_packed(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text(FAKE_PYTHON)
    (tmp_path / "bin/python").chmod(0o755)
    packs = tmp_path / "build/runs/short_gpu/packs"
    packs.mkdir(parents=True)
    with tarfile.open(packs / "pack-00.tar", "w") as tar:
        for kind in ("real", "synthetic", "dev"):
            tar.addfile(tarfile.TarInfo(f"00/{kind}/manifest.jsonl"))
    (tmp_path / "data/synthetic").mkdir(parents=True)
    (tmp_path / "data/synthetic/manifest.jsonl").touch()
    replays = [replay(SHORT, tmp_path, "2") for _ in range(2)]
    (packing, pack), (training, first) = replays[0]
    assert (packing, training) == ("training.common.pack", "training.jasper.train")
    assert pack.mebibytes <= 60
    assert first.minutes == 2
    for file in find_input_files(first):
        assert (tmp_path / file).is_file()
    assert [arguments.resume for _, arguments in (replays[0][1], replays[1][1])] == [False, True]
