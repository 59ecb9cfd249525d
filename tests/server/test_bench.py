import json

import pytest
import soundfile
from support.sounds import chirp

from benchmarks.speed.server_memory import memory_of, server_at, with_children
from convai.__main__ import main
from convai.generator.profiles import PROFILES


@pytest.fixture(scope="module")
def measured(server, model_repository, tmp_path_factory):
    """The JSON of a benchmark of the running server with one short question."""
    folder = tmp_path_factory.mktemp("bench")
    soundfile.write(folder / "one.wav", chirp(0.5), 16_000)
    entry = {"audio": "one.wav", "text": "", "context": "Ada wrote it."}
    (folder / "manifest.jsonl").write_text(json.dumps(entry) + "\n")
    options = ["--server", server.grpc_address, "--model-repository", str(model_repository)]
    short = ["--loads", "1", "--requests", "1", "--repeats", "1", "--network-delay", "100"]
    short += ["--manifest", str(folder / "manifest.jsonl")]
    files = ["--json", str(folder / "speed.json"), "--plot", str(folder / "speed.png")]
    assert main(["bench", *options, *short, *files]) == 0
    assert (folder / "speed.png").exists()
    return json.loads((folder / "speed.json").read_text())


def test_all_three_paths_give_the_same_answers(measured):
    assert [figures["path"] for figures in measured["medians"]] == ["ensemble", "step-by-step", "floor"]
    assert measured["questions_answered_differently"] == 0


def test_every_step_of_every_path_is_timed(measured):
    for figures in measured["medians"]:
        assert len(figures["steps"]) == 11
        assert 0 < sum(step["compute_seconds"] for step in figures["steps"]) < 2 * figures["mean_seconds"]


def test_a_distant_server_costs_step_by_step_a_round_trip_for_each_network(measured):
    ensemble, stepped = (between_the_steps(figures) for figures in measured["medians"][:2])
    # A step is enqueued before the one that feeds it counts as done, so what is inside overlaps by some milliseconds.
    assert ensemble > 0.08
    assert stepped > 4 * 0.08


def between_the_steps(figures):
    inside = sum(step["queue_seconds"] + step["compute_seconds"] for step in figures["steps"])
    return figures["mean_seconds"] - inside


def test_memory_is_that_of_the_server_and_its_stubs(server, measured):
    assert server_at(server.grpc_address) == server.process.pid
    memory = memory_of(with_children(server.process.pid))
    assert memory.processes == 1 + sum(settings.instances for settings in PROFILES["cpu"].settings.values())
    assert 1e8 < memory.pss_bytes < memory.rss_bytes
    assert measured["medians"][0]["memory"]["processes"] == memory.processes


def test_processor_time_is_that_of_the_processes_that_do_the_work(measured):
    ensemble, stepped, floor = (figures["processor_seconds"] for figures in measured["medians"])
    assert 0 < floor < 1.5 * min(ensemble, stepped)


@pytest.mark.parametrize("address", ["192.0.2.1:8001", "127.0.0.1:1"])
def test_a_server_elsewhere_or_nowhere_has_no_memory_here(address):
    assert server_at(address) is None
    assert memory_of([]) is None


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--loads", "0"], "in_flight is 0"),
        (["--repeats", "0"], "--repeats is 0"),
        (["--network-delay", "-1"], "--network-delay is -1"),
        (["--manifest", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--server", "127.0.0.1:1"], "no connection"),
    ],
)
def test_mistakes_are_told_in_one_line(options, complaint, capsys):
    assert main(["bench", *options]) == 1
    printed = capsys.readouterr().err
    assert complaint in printed and printed.count("\n") == 1
