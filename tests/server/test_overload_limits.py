"""Under overload, questions are refused at the entrance, and networks nearer to the answer run first."""

import itertools
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
from support.triton_requests import infer, make_inputs

from convai.backends.management.processes import stubs_of
from convai.description.pipeline import NETWORK_NAMES
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


@contextmanager
def stopped(pids):
    """Processes that do nothing within the `with` block."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_questions_are_refused_at_once_while_as_many_as_the_limit_wait(client, stubs, example_question):
    samples, rate = example_question
    parameters = CPU.steps["speech_features"].parameters
    limit, steps = parameters["max_waiting"], ", ".join(parameters["waiting_for"])
    inputs = {"question_audio": samples, "sample_rate": np.array([rate], np.int32)}
    with ThreadPoolExecutor(2 * limit) as pool:
        with stopped(stubs["jasper"]):
            replies = [pool.submit(infer, client.triton, "speech_to_text", **inputs) for _ in range(2 * limit)]
            first = itertools.islice(as_completed(replies), limit - len(stubs["jasper"]))
            refusals = [str(reply.exception()) for reply in first]
        answers = [reply.result()["question"].item() for reply in replies if not reply.exception()]
    for refusal in refusals:
        assert "StatusCode.UNAVAILABLE" in refusal
        assert f"speech_features: {limit} requests wait for {steps}, which is the limit" in refusal
    assert len(answers) >= limit
    assert set(answers) == {client.transcribe(samples, sample_rate=rate).encode()}


def count_requests(client, step):
    """Requests that a step has answered and that failed before it."""
    statistics = client.triton.get_inference_statistics(step).model_stats[0].inference_stats
    return np.array([statistics.success.count, statistics.fail.count])


def wait_for_one_more(client, step, before):
    deadline = time.monotonic() + 30
    while (count_requests(client, step) == before).all():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return (count_requests(client, step) - before).tolist()


def test_a_request_that_was_cancelled_reaches_no_further_step(client, stubs):
    encoded, padded = count_requests(client, "text_encoder"), count_requests(client, "mel_padder")
    with stopped(stubs["tacotron2"]):
        call = client.triton.async_infer("text_to_speech", make_inputs(text=b"Nobody hears this."), lambda *_: None)
        assert wait_for_one_more(client, "text_encoder", encoded) == [1, 0]
        call.cancel()
    assert wait_for_one_more(client, "mel_padder", padded) == [0, 1]
