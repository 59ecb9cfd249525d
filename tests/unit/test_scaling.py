"""More cores get more processes of the steps that take longest."""

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from convai.__main__ import main
from convai.generator.profiles import PROFILES
from convai.generator.scaling import CORES, IN_FLIGHT_FOR, SHARES, scale_to_cores


@pytest.mark.parametrize("name", PROFILES)
def test_the_profiles_are_written_for_two_cores(name):
    assert scale_to_cores(PROFILES[name], CORES) == PROFILES[name]


@pytest.mark.parametrize("name", ["cpu", "cpu-moonshine", "cpu-onnx", "cpu-nvidia"])
def test_the_processes_of_a_step_can_do_its_part_of_the_work_of_all_cores(name):
    for cores in (1, 4, 16, 64):
        settings = scale_to_cores(PROFILES[name], cores).settings
        assert all(settings[step].instances > cores * SHARES[step] for step in SHARES.keys() & settings.keys())
        before = {step: min(one.instances, cores) for step, one in PROFILES[name].settings.items()}
        assert all(one.instances >= before[step] for step, one in settings.items())


def test_queues_and_streams_grow_with_the_cores():
    settings = scale_to_cores(PROFILES["cpu"], 16).settings
    assert settings["speech_features"].parameters["max_waiting"] == 8 * 24
    for step, network in IN_FLIGHT_FOR.items():
        assert settings[step].instances == 1
        assert settings[step].parameters["max_in_flight"] == settings[network].instances > 2


def test_networks_on_a_gpu_keep_their_processes():
    settings = scale_to_cores(PROFILES["gpu"], 16).settings
    assert settings["waveglow"].instances == 1
    assert settings["ctc_decoder"].instances == 5


def test_the_command_writes_and_checks_configurations_for_the_cores_that_are_given(tmp_path, capsys):
    repository = ["--model-repository", str(tmp_path)]
    assert main(["generate", *repository, "--cores", "8"]) == 0
    config = text_format.Parse((tmp_path / "bert" / "config.pbtxt").read_text(), ModelConfig())
    assert config.instance_group[0].count == 4
    assert main(["generate", *repository, "--cores", "8", "--check"]) == 0
    assert main(["generate", *repository, "--check"]) == 1
    assert main(["generate", *repository, "--cores", "0"]) == 1
    assert "--cores: expected at least 1, got 0" in capsys.readouterr().err
