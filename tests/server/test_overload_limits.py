"""Under overload, questions queue at the first steps, and networks nearer to the answer run first."""

import os

import psutil
import pytest

from convai.backends.management.processes import stubs_of
from convai.description.pipeline import NETWORK_NAMES
from convai.generator.profiles import PROFILES
from convai.generator.targets import CPU

NEAREST_TO_THE_ANSWER_FIRST = ["waveglow", "tacotron2", "bert", "jasper"]


@pytest.fixture(scope="module")
def stubs(server):
    """The processes of each network."""
    running = stubs_of(server.process.pid)
    return {name: [stub.pid for stub in running if stub.model == name] for name in NETWORK_NAMES}


def test_networks_nearer_to_the_answer_have_priority(stubs):
    niceness = [os.getpriority(os.PRIO_PROCESS, stubs[network][0]) for network in NEAREST_TO_THE_ANSWER_FIRST]
    assert niceness == sorted(niceness)
    assert niceness[0] == os.getpriority(os.PRIO_PROCESS, 0)
    assert niceness[-1] == min(19, niceness[0] + CPU.steps["jasper"].parameters["niceness"])


def test_the_threads_of_a_network_have_the_niceness_of_its_process(stubs):
    assert stubs["jasper"]
    for jasper in stubs["jasper"]:
        niceness = [os.getpriority(os.PRIO_PROCESS, thread.id) for thread in psutil.Process(jasper).threads()]
        assert niceness.count(os.getpriority(os.PRIO_PROCESS, jasper)) >= 2


@pytest.mark.parametrize("profile", ["cpu", "cpu-nvidia"])
def test_on_a_cpu_the_first_queues_are_the_shortest(profile):
    sizes = {name: settings.max_queue_size for name, settings in PROFILES[profile].settings.items()}
    first = {sizes.pop("speech_features"), sizes.pop("jasper")}
    assert max(first) < min(sizes.values())
