"""The ensemble, the client-side glue, the in-process baseline and the other baselines, in one benchmark."""

import json
from importlib.util import find_spec

import pytest
from support.places import EXAMPLES

from benchmarks.speed.baselines import BASELINES, BaselineSetup
from benchmarks.speed.baselines.client import BaselineServer
from benchmarks.speed.bench import PATHS, main
from benchmarks.speed.measured_server import find_server, list_process_tree
from convai.generator.profiles import PROFILES

INSTALLED = [baseline for baseline in BASELINES if baseline != "ray" or find_spec("ray")]  # Ray is large
PROCESSES = 2
pytestmark = pytest.mark.timeout(600)  # the first test starts all servers


@pytest.fixture(scope="module")
def measured(server, model_repository, tmp_path_factory):
    """The medians of every path by name; `compare` is the same server again."""
    folder = tmp_path_factory.mktemp("bench")
    entries = [json.loads(line) for line in (EXAMPLES / "examples.jsonl").read_text().splitlines()[:2]]
    entries = [entry | {"audio": str(EXAMPLES / entry["audio"])} for entry in entries]
    (folder / "manifest.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    options = ["--server", server.grpc_address, "--model-repository", str(model_repository)]
    options += ["--compare", server.grpc_address, "--baselines", *INSTALLED]
    options += ["--loads", "2", "--requests", "4", "--repeats", "1", "--manifest", str(folder / "manifest.jsonl")]
    options += ["--json", str(folder / "speed.json"), "--plot", str(folder / "speed.png")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaselineSetup, "cores", PROCESSES)
        assert main(options) == 0
    assert (folder / "speed.png").exists()
    return {figures["path"]: figures for figures in json.loads((folder / "speed.json").read_text())["medians"]}


def test_every_path_gives_the_answers_of_the_ensemble(measured):
    assert list(measured) == [*PATHS, "compare", *INSTALLED]
    assert {path: figures["wrong"] for path, figures in measured.items()} == dict.fromkeys(measured, 0)


def test_every_path_is_measured_with_all_its_processes(measured):
    for path, figures in measured.items():
        assert figures["processor_seconds"] > 0, path
        assert figures["pss_bytes"] > 1e8, path
    for baseline in INSTALLED:
        assert measured[baseline]["pss_bytes"] > 2e8 * PROCESSES


def test_every_step_is_timed_in_the_server_and_in_process(measured):
    for path in (*PATHS, "compare"):
        figures = measured[path]
        assert len(figures["steps"]) == 11
        assert 0 < sum(compute for _, compute in figures["steps"].values()) < 2 * figures["mean_seconds"]


def test_a_local_server_is_found_with_its_stubs(server):
    assert find_server(server.grpc_address) == server.process.pid
    stubs = sum(settings.instances for settings in PROFILES["cpu"].settings.values())
    assert len(list_process_tree(server.process.pid)) >= 1 + stubs


def test_a_baseline_that_does_not_start_shows_its_log(tmp_path):
    baseline = BaselineServer("fastapi", BaselineSetup(tmp_path, "cpu"))
    with pytest.raises(OSError, match=str(tmp_path)):
        baseline.wait_until_ready()
    baseline.close()
    assert baseline.list_processes() == []
