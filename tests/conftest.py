import os
import shutil

from support.places import EXAMPLES, ROOT

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import soundfile

from convai.backends.management.launcher import Server
from convai.client import ConvaiClient
from convai.description.pipeline import NETWORK_NAMES


@pytest.fixture(scope="session")
def model_repository(tmp_path_factory):
    """A copy of the model repository with the default networks, which tests may change."""
    copy = tmp_path_factory.mktemp("served") / "model_repository"
    shutil.copytree(ROOT / "model_repository", copy)
    missing = [name for name in NETWORK_NAMES if not list((copy / name).glob("1/model.*"))]
    if missing:
        from convai.__main__ import main

        assert main(["export", "--model-repository", str(copy), "--network", *missing]) == 0
    return copy


@pytest.fixture(scope="session")
def server(model_repository):
    """The whole pipeline on a real tritonserver, started once."""
    from convai.backends.management.watchdog import Watchdog

    with Server(model_repository) as server, Watchdog(server):
        yield server


@pytest.fixture(scope="session")
def client(server):
    with ConvaiClient(server.grpc_address) as client:
        yield client


@pytest.fixture(scope="session")
def example_question():
    """The example question: float32 samples and their rate in hertz."""
    samples, rate = soundfile.read(EXAMPLES / "question.wav", dtype="float32")
    return samples, rate


@pytest.fixture(scope="session")
def example_context():
    return (EXAMPLES / "context.txt").read_text()
