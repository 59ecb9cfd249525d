"""Other servers of the same pipeline, beside ours in one benchmark."""

import json
from importlib.util import find_spec

import pytest
from support.places import EXAMPLES

from benchmarks.speed.baselines.program import RIVALS
from benchmarks.speed.baselines.server_process import RivalSetup
from convai.__main__ import main

INSTALLED = [rival for rival in RIVALS if rival != "ray" or find_spec("ray")]
PROCESSES = 2
pytestmark = pytest.mark.timeout(600)  # whichever test is first starts them all


@pytest.fixture(scope="module")
def measured(server, model_repository, tmp_path_factory):
    """The JSON of a benchmark of every rival, and of our own server once more beside itself."""
    folder = tmp_path_factory.mktemp("rivals")
    entries = [json.loads(line) for line in (EXAMPLES / "examples.jsonl").read_text().splitlines()[:2]]
    entries = [entry | {"audio": str(EXAMPLES / entry["audio"])} for entry in entries]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    options = ["--server", server.grpc_address, "--model-repository", str(model_repository), "--paths", "ensemble"]
    others = ["--beside", server.grpc_address, "--rivals", *INSTALLED]
    short = ["--loads", "2", "--requests", "4", "--repeats", "1", "--manifest", str(folder / "manifest.jsonl")]
    files = ["--json", str(folder / "speed.json"), "--plot", str(folder / "speed.png")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RivalSetup, "cores", PROCESSES)
        assert main(["bench", *options, *others, *short, *files]) == 0
    assert (folder / "speed.png").exists()
    return {figures["path"]: figures for figures in json.loads((folder / "speed.json").read_text())["medians"]}


def test_every_rival_gives_the_very_answers_of_the_ensemble(measured):
    assert set(measured) == {"ensemble", "beside", *INSTALLED}
    assert {path: figures["wrong"] for path, figures in measured.items()} == dict.fromkeys(measured, 0)


def test_every_rival_is_measured_with_all_its_processes(measured):
    for rival in INSTALLED:
        memory = measured[rival]["memory"]
        assert memory["processes"] >= PROCESSES
        assert 2e8 * PROCESSES < memory["pss_bytes"] < memory["rss_bytes"]
        assert measured[rival]["processor_seconds"] > 0


def test_the_server_beside_has_processes_and_steps_of_its_own(measured):
    assert measured["beside"]["memory"]["processes"] == measured["ensemble"]["memory"]["processes"]
    assert len(measured["beside"]["steps"]) == len(measured["ensemble"]["steps"]) == 11


@pytest.mark.skipif("ray" in INSTALLED, reason="Ray is installed")
def test_ray_is_measured_only_where_it_is_installed():
    pytest.skip("to test Ray Serve too: pip install --constraint constraints.txt '.[rivals]'")
