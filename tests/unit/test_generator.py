from dataclasses import replace

import pytest
from google.protobuf import text_format
from support.places import ROOT
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

from convai.__main__ import main
from convai.backends.management.repository import models_of
from convai.description.config_files import config_file, profile_of, profiles_of
from convai.description.pipeline import ENSEMBLES, STEPS
from convai.description.recognisers import JASPER, MOONSHINE, RECOGNISER_STEP_NAMES, steps_with
from convai.description.wiring import WiringError, wiring_of
from convai.errors import InvalidArgument
from convai.generator import graph
from convai.generator.check import check_all, check_configs, check_repository
from convai.generator.profiles import PROFILES
from convai.generator.render import render, write

MODEL_REPOSITORY = ROOT / "model_repository"
CPU = PROFILES["cpu"]


def configs_of(profile):
    files = render(profiles=[PROFILES[profile]])
    return {name.split("/")[0]: text_format.Parse(text, ModelConfig()) for name, text in files.items()}


def test_the_committed_configurations_equal_a_fresh_render():
    files = {path.relative_to(MODEL_REPOSITORY).as_posix(): path for path in MODEL_REPOSITORY.glob("*/config.pbtxt")}
    assert {name: path.read_text() for name, path in files.items()} == render([CPU])


def test_the_command_writes_the_profiles_that_are_named_and_then_checks_them(tmp_path, capsys):
    repository = ["--model-repository", str(tmp_path)]
    assert main(["generate", *repository, "--profile", "gpu"]) == 0
    assert profiles_of(tmp_path / "bert") == {"gpu"}
    assert "gpu: 13 steps and 6 ensembles, wiring correct" in capsys.readouterr().out
    assert main(["generate", *repository, "--profile", "all"]) == 0
    assert profiles_of(tmp_path / "bert") == set(PROFILES)
    assert main(["generate", *repository, "--profile", "all", "--check"]) == 0
    (tmp_path / "bert" / "configs" / "gpu.pbtxt").write_text("")
    assert main(["generate", *repository, "--profile", "all", "--check"]) == 1
    assert "bert/configs/gpu.pbtxt: not what the pipeline's description says" in capsys.readouterr().err


def test_every_profile_passes_the_checks(tmp_path):
    write(render(), tmp_path)
    assert write(render(), tmp_path) == []
    assert len(check_all(tmp_path, PROFILES.values())) == len(PROFILES)


def test_a_network_without_an_engine_is_refused():
    with pytest.raises(WiringError, match="jasper.*network needs an engine"):
        render(profiles=[replace(CPU, settings={**CPU.settings, "jasper": CPU.settings["ctc_decoder"]})])


def set_dtype(configs):
    configs["jasper"].input[1].data_type = DataType.TYPE_INT64


def make_context_optional(configs):
    configs["convai_ensemble"].input[2].optional = True


def lower_batch_size(configs):
    configs["bert"].max_batch_size = 4


def map_unused_output(configs):
    configs["speech_to_text"].ensemble_scheduling.step[2].output_map["transcript"] = "transcript"


def unwire_input(configs):
    del configs["speech_to_text"].ensemble_scheduling.step[0].input_map["sample_rate"]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_dtype, "features_length.*speech_features.*INT32.*jasper.*INT64"),
        (make_context_optional, r"context is declared BYTES \[1\], optional, its step has BYTES \[1\]$"),
        (lower_batch_size, "convai_ensemble: max_batch_size 8 exceeds that of step bert, 4"),
        (map_unused_output, "speech_to_text.*ctc_decoder.*transcript"),
        (unwire_input, "sample_rate.*speech_features.*nothing"),
    ],
)
def test_a_hand_edited_configuration_that_is_wired_wrongly_is_noticed(edit, message):
    configs = configs_of("cpu")
    edit(configs)
    with pytest.raises(WiringError, match=message):
        check_configs(configs)


def test_a_missing_file_and_a_name_unlike_its_folder_are_noticed(tmp_path):
    write(render(), tmp_path)
    (tmp_path / "bert" / "configs" / "gpu.pbtxt").unlink()
    with pytest.raises(InvalidArgument, match="gpu.pbtxt is missing; `convai generate --profile gpu` writes it"):
        check_repository(tmp_path, PROFILES["gpu"])
    path = tmp_path / "bert" / "config.pbtxt"
    path.write_text(path.read_text().replace('name: "bert"', 'name: "bart"'))
    with pytest.raises(InvalidArgument, match="name is 'bart', but its folder is 'bert'"):
        check_repository(tmp_path, CPU)


def test_the_graph_names_every_step_and_exposed_tensor():
    text = graph.mermaid(wiring_of("convai_ensemble_stream"))
    ensemble = next(ensemble for ensemble in ENSEMBLES if ensemble.name == "convai_ensemble_stream")
    steps = {step.name for step in STEPS} - {"mel_padder"}  # streams use mel_splitter
    assert all(name in text for name in [*steps, *ensemble.outputs, *ensemble.inputs])


def test_a_graph_is_drawn_in_the_format_of_its_name_and_no_other(tmp_path, capsys):
    assert main(["generate", "--graph", str(tmp_path / "graph.svg"), "--ensemble", "text_to_speech"]) == 0
    assert "<svg" in (tmp_path / "graph.svg").read_text()
    assert main(["generate", "--graph", "graph.xyz"]) == 1
    assert capsys.readouterr().err.endswith(
        "--graph: expected a name that ends in .svg or .png or .pdf, got graph.xyz\n"
    )


def test_only_the_profile_of_a_recogniser_has_its_steps():
    moonshine = configs_of("cpu-moonshine")
    check_configs(moonshine)
    assert moonshine.keys() & set(RECOGNISER_STEP_NAMES) == {"moonshine"}
    assert not any("moonshine" in configs_of(name) for name in PROFILES.keys() - {"cpu-moonshine"})


@pytest.mark.parametrize("profile", ["cpu", "cpu-onnx", "cpu-moonshine"])
def test_on_a_cpu_every_request_runs_alone_and_can_be_cancelled(profile):
    batchers = {
        name: one.dynamic_batching for name, one in configs_of(profile).items() if not one.ensemble_scheduling.step
    }
    assert {name for name, one in batchers.items() if list(one.preferred_batch_size) != [1]} == set()


def test_moonshine_runs_in_several_processes_and_takes_recordings_of_any_length():
    moonshine = configs_of("cpu-moonshine")["moonshine"]
    assert moonshine.instance_group[0].count > 1
    assert all(io.allow_ragged_batch for io in moonshine.input if -1 in io.dims)


def test_only_the_queue_of_moonshine_has_a_limit_in_triton_which_misses_requests_then():
    limited = {
        name
        for profile in PROFILES
        for name, config in configs_of(profile).items()
        if config.dynamic_batching.default_queue_policy.max_queue_size
    }
    assert limited == {"moonshine"}


def test_a_file_belongs_to_the_profile_that_it_is_named_after(tmp_path):
    for name in ("cpu", "gpu"):
        (tmp_path / config_file(name)).parent.mkdir(exist_ok=True)
        (tmp_path / config_file(name)).touch()
        assert profile_of(tmp_path / config_file(name)) == name
    assert config_file("cpu") == "config.pbtxt"
    assert profiles_of(tmp_path) == {"cpu", "gpu"}
    assert profiles_of(tmp_path / "nowhere") == set()


@pytest.fixture
def repository(tmp_path):
    """A folder for every model, with an empty configuration for each profile that has it."""
    for profile in ("cpu", "cpu-moonshine"):
        for step in (*steps_with(PROFILES[profile].recogniser), *ENSEMBLES):
            file = tmp_path / step.name / config_file(profile)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return tmp_path


def test_a_server_loads_only_the_recogniser_of_its_profile(repository):
    everything = {model.name for model in (*STEPS, *ENSEMBLES)}
    assert set(models_of(repository, "cpu")) == everything
    moonshine = everything - {step.name for step in JASPER.steps} | {step.name for step in MOONSHINE.steps}
    assert set(models_of(repository, "cpu-moonshine")) == moonshine


def test_a_repository_that_lacks_configurations_of_the_profile_is_refused(repository):
    with pytest.raises(InvalidArgument, match="profile 'cpu-moonshin' .* every model has: .*convai generate --profile"):
        models_of(repository, "cpu-moonshin")
    (repository / "amplifier").mkdir()
    (repository / "amplifier" / "config.pbtxt").touch()
    with pytest.raises(InvalidArgument, match="no configuration for amplifier; profiles that every model has: cpu"):
        models_of(repository, "cpu-moonshine")
    (repository / "jasper" / "config.pbtxt").unlink()
    with pytest.raises(InvalidArgument, match="speech_features, jasper, ctc_decoder or moonshine$"):
        models_of(repository, "cpu")
