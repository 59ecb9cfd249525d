import os
from pathlib import Path

import pytest

from convai.backends.management.processes import stubs_of
from convai.backends.runtime.parameters import read_whole_number
from convai.description.pipeline import STEPS
from convai.generator.check import parse
from convai.generator.settings import Settings
from convai.generator.targets import CPU

REPOSITORY = Path(__file__).parent.parent.parent / "model_repository"
NETWORKS_NEAREST_TO_THE_ANSWER_FIRST = ["waveglow", "tacotron2", "bert", "jasper"]


def test_the_server_runs_networks_nearer_to_the_answer_first(server):
    niceness = {stub.model: os.getpriority(os.PRIO_PROCESS, stub.pid) for stub in stubs_of(server.process.pid)}
    ranks = [niceness[network] for network in NETWORKS_NEAREST_TO_THE_ANSWER_FIRST]
    assert ranks == sorted(ranks)
    assert ranks[0] == os.getpriority(os.PRIO_PROCESS, 0)
    assert ranks[-1] == min(19, ranks[0] + CPU.steps["jasper"].parameters["niceness"])


def test_the_threads_of_a_network_are_as_nice_as_its_process(server):
    processes = [stub.pid for stub in stubs_of(server.process.pid) if stub.model == "jasper"]
    assert processes
    for jasper in processes:
        nicest = [os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in os.listdir(f"/proc/{jasper}/task")]
        assert nicest.count(os.getpriority(os.PRIO_PROCESS, jasper)) >= 2


@pytest.mark.parametrize("profile", ["config.pbtxt", "configs/cpu-nvidia.pbtxt"])
def test_on_a_cpu_the_first_queues_are_the_shortest(profile):
    sizes = [
        parse(REPOSITORY / step.name / profile).dynamic_batching.default_queue_policy.max_queue_size for step in STEPS
    ]
    assert sizes == [16, 16] + [64] * 11


def test_a_queue_that_holds_nothing_is_refused():
    with pytest.raises(ValueError, match="max_queue_size must be at least 1, got 0"):
        Settings(max_queue_size=0)


@pytest.mark.parametrize("text", ["-1", "2.5", "high"])
def test_a_niceness_that_is_no_whole_number_is_refused_with_the_networks_name(text):
    config = {"name": "jasper", "parameters": {"niceness": {"string_value": text}}}
    with pytest.raises(ValueError, match=f"jasper: parameter niceness: expected a whole number from 0, got '{text}'"):
        read_whole_number(config, "niceness", 0, lowest=0)
