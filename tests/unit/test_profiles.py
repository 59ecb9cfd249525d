"""A profile is a kind of machine and a set of weights; each says only what is its own."""

import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed.in_process import read_config
from convai.backends.runtime.parameters import build_step
from convai.description.config_files import config_file, profiles_of
from convai.description.pipeline import NETWORK_NAMES, PYTHON_STEP_NAMES
from convai.description.recognisers import JASPER
from convai.generator.profiles import PROFILES, profile
from convai.generator.settings import Settings, ShapeRange, thread_parameters
from convai.generator.shapes import network_shapes
from convai.generator.targets import CPU, GPU, Buckets
from convai.generator.weight_sets import DEFAULT_WEIGHTS, NVIDIA_WEIGHTS, WeightSet, read_weight_set
from convai.networks.jasper.config import BlockConfig, JasperConfig
from convai.networks.jasper.network import LOG_MEL_SIDE_FILE
from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.network import SYMBOLS_SIDE_FILE
from convai.networks.waveglow.bias import BIAS_SIDE_FILE
from convai.networks.waveglow.config import CONFIGS
from convai.package_data import packaged

MODEL_REPOSITORY = Path(__file__).parent.parent.parent / "model_repository"
SIZES = {"n_group": 8, "receptive_field_frames": 100}


def test_every_set_of_weights_has_a_profile_on_every_machine():
    pairs = [(one.machine.name, one.weights.name) for one in PROFILES.values() if one.recogniser == JASPER]
    assert sorted(pairs) == [
        ("cpu", "default"),  # what BF16 costs NVIDIA's weights has not been measured
        *((name, weights) for name in ("cpu-onnx", "gpu", "gpu-onnx") for weights in ("default", "nvidia")),
    ]


@pytest.mark.parametrize(("one", "other"), [("gpu", "gpu-default"), ("gpu-onnx", "gpu-onnx-default")])
def test_two_profiles_of_one_machine_run_their_steps_alike(one, other):
    for name, settings in PROFILES[one].settings.items():
        another = PROFILES[other].settings[name]
        assert replace(another, parameters=settings.parameters, shapes=settings.shapes) == settings
        if name in NETWORK_NAMES:
            assert another.parameters == settings.parameters


@pytest.mark.parametrize("step", PYTHON_STEP_NAMES)
def test_two_profiles_of_one_set_of_weights_differ_in_their_buckets_alone(step):
    cpu, gpu = (profile("mine", machine, DEFAULT_WEIGHTS).settings[step].parameters for machine in (CPU, GPU))
    assert cpu | GPU.buckets.parameters_of(step) == gpu


@pytest.mark.parametrize("name", PROFILES)
def test_networks_run_where_the_machine_says_and_python_steps_on_its_processor(name):
    kinds = {step: settings.kind for step, settings in PROFILES[name].settings.items()}
    assert {kinds[step] for step in kinds.keys() & set(NETWORK_NAMES)} == {PROFILES[name].machine.kind}
    assert {kinds[step] for step in kinds.keys() - set(NETWORK_NAMES)} == {"KIND_CPU"}


def write_what_exports_do(model_repository):
    """The files beside Python steps that tell of the networks; the vocoder's bias would be measured."""
    LOG_MEL_SIDE_FILE.write(None, JasperConfig(blocks=(BlockConfig(8, 3),)), model_repository)
    SYMBOLS_SIDE_FILE.write(None, Tacotron2Config(), model_repository)
    bias = model_repository / BIAS_SIDE_FILE.path
    bias.parent.mkdir(parents=True, exist_ok=True)
    np.save(bias, np.zeros(513, np.float32))


# Profiles with "onnx" in their names differ from others in networks alone, and other recogniser have tests of their own.
@pytest.mark.parametrize(
    "name", [one.name for one in PROFILES.values() if "onnx" not in one.name and one.recogniser == JASPER]
)
@pytest.mark.parametrize("step", PYTHON_STEP_NAMES)
def test_every_python_step_can_be_built_as_every_profile_sets_it_up(tmp_path, step, name):
    folder = tmp_path / step / "1"
    shutil.copytree(MODEL_REPOSITORY / step / "1", folder)
    write_what_exports_do(tmp_path)
    step_class = getattr(import_module(f"convai.backends.steps.{step}"), step.title().replace("_", ""))
    assert build_step(step_class, read_config(step, MODEL_REPOSITORY, name), folder)


@pytest.mark.parametrize(
    ("weights", "config"),
    [(DEFAULT_WEIGHTS, "mini"), (NVIDIA_WEIGHTS, "waveglow-256"), (NVIDIA_WEIGHTS, "waveglow-512")],
)
def test_the_mel_is_padded_by_at_least_the_receptive_field_of_the_vocoder(weights, config):
    assert weights.receptive_field_frames >= CONFIGS[config].receptive_field_frames
    assert weights.n_group == CONFIGS[config].n_group


def test_a_changed_bucket_changes_the_step_and_the_shapes_of_its_network():
    wider = replace(CPU, buckets=replace(CPU.buckets, frames=(100, 4000)))
    settings = profile("mine", wider, DEFAULT_WEIGHTS).settings
    assert settings["speech_features"].parameters["buckets"] == (100, 4000)
    assert settings["jasper"].shapes["features"] == ShapeRange((64, 100), (64, 4000), (64, 4000))


def test_every_size_that_a_step_may_pad_to_is_one_that_its_network_takes():
    buckets = Buckets(frames=(7, 9), windows=(1, 5), tokens=(30, 40), symbols=(3, 4), mel_frames=(120, 500))
    shapes = network_shapes(buckets, n_group=64, receptive_field_frames=48)
    limits = {name: (one.smallest, one.largest) for inputs in shapes.values() for name, one in inputs.items()}
    assert limits["features"] == ((64, 7), (64, 9))
    assert limits["input_ids"] == ((1, 30), (5, 40))
    assert limits["symbol_ids"] == ((3,), (4,))
    assert limits["padded_mel"] == ((80, 120), (80, 500))
    assert limits["z"] == ((64, 120 * 4), (64, 500 * 4))


def test_what_is_warmed_up_are_some_of_the_sizes_that_the_steps_pad_to_and_the_largest_stay_cold():
    settings = PROFILES["cpu"].settings
    warm = {name: settings[name].parameters["warm_up"] for name in ("jasper", "bert", "waveglow")}
    for name, sizes in warm.items():
        assert sizes.keys() == settings[name].shapes.keys()
        for tensor, shape in settings[name].shapes.items():
            assert all(size[-1] <= shape.largest[-1] and size[-1] >= shape.smallest[-1] for size in sizes[tensor])
        assert len({len(sizes[tensor]) for tensor in sizes}) == 1
    assert [size for _, size in warm["jasper"]["features"]] == [1024, 768, 512, 384, 256, 192, 128]
    assert {1024, 768, 512, 384, 256, 192, 128} <= set(CPU.buckets.frames)
    assert [size for (size,) in warm["bert"]["input_ids"]] == [384, 256, 192, 128, 96, 64]
    assert {384, 256, 192, 128, 96, 64} <= set(CPU.buckets.tokens)
    assert all(4 * mel == z for (_, mel), (_, z) in zip(*warm["waveglow"].values(), strict=True))


def test_bf16_is_asked_for_in_the_words_of_triton_s_own_backend_and_only_where_it_was_measured():
    config = read_config("bert", MODEL_REPOSITORY, "cpu")
    assert config["parameters"]["HINT_BF16"] == {"string_value": "YES"}
    engines = {name: {one.engine for one in PROFILES[name].settings.values()} for name in PROFILES}
    assert {name for name, used in engines.items() if "openvino" in used} == {"cpu", "cpu-moonshine"}


@pytest.mark.parametrize("sizes", [(), (0, 1), (2, 2), (4, 3)])
def test_buckets_that_do_not_rise_are_refused_by_name(sizes):
    with pytest.raises(ValueError, match="^symbols must be whole numbers from 1 in strictly rising order, got "):
        Buckets(symbols=sizes)


def test_shape_ranges_must_rise():
    with pytest.raises(ValueError, match="128, 64, 256"):
        ShapeRange((128,), (64,), (256,))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "KIND_TPU"}, "machine cpu: kind must be one of KIND_CPU, KIND_GPU, got 'KIND_TPU'"),
        ({"steps": CPU.steps | {"brett": Settings()}}, "machine cpu: steps must be of the pipeline, got brett"),
        ({"steps": {}}, "machine cpu: steps must hold every network, got none for bert, jasper, tacotron2, waveglow"),
    ],
)
def test_a_wrong_machine_is_refused_with_its_name(change, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        replace(CPU, **change)


def test_an_engine_that_takes_no_number_of_threads_is_refused():
    with pytest.raises(ValueError, match="engine 'tensorrt' takes no number of threads"):
        thread_parameters("tensorrt", 2)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, r"mel_padder\.n_group must be a whole number, got None"),
        ({"mel_padder": SIZES | {"n_group": 8.0}}, r"mel_padder\.n_group must be a whole number, got 8\.0"),
        ({"mel_padder": SIZES | {"n_group": 7}}, r"mel_padder\.n_group must divide the 256 samples of a frame, got 7"),
        (
            {"mel_padder": SIZES | {"receptive_field_frames": -1}},
            r"mel_padder\.receptive_field_frames must be at least 0, got -1",
        ),
        ({"mel_padder": SIZES, "jasper": {}}, r"\[jasper\] must be one of speech_features, .*audio_trimmer"),
        ({"mel_padder": SIZES, "ctc_decoder": 3}, "ctc_decoder must be a table of parameters, got 3"),
        (
            {"mel_padder": SIZES | {"buckets": [128]}},
            r"mel_padder\.buckets must be a text, a number, true or false, got \[128\]",
        ),
    ],
)
def test_a_wrong_set_of_weights_is_refused_with_field_rule_and_value(parameters, words):
    with pytest.raises(ValueError, match=f"^weights mine: {words}$"):
        WeightSet("mine", parameters)


def test_numbers_of_weights_are_read_from_a_file_of_their_name(tmp_path):
    (tmp_path / "mine.toml").write_text("[mel_padder]\nn_group = 8\nreceptive_field_frames = 100\n")
    assert read_weight_set("mine", tmp_path) == WeightSet("mine", {"mel_padder": SIZES})
    (tmp_path / "mine.toml").write_text("n_group: 8")
    with pytest.raises(ValueError, match=r"mine\.toml is no TOML: "):
        read_weight_set("mine", tmp_path)


def test_the_numbers_lie_beside_the_weights():
    assert {"default.toml", "nvidia.toml", "bert.safetensors"} <= {file.name for file in packaged("weights").iterdir()}


def test_a_model_folder_keeps_a_file_for_each_profile(tmp_path):
    for name in ("cpu", "gpu"):
        (tmp_path / config_file(name)).parent.mkdir(exist_ok=True)
        (tmp_path / config_file(name)).touch()
    assert config_file("cpu") == "config.pbtxt"
    assert profiles_of(tmp_path) == {"cpu", "gpu"}
    assert profiles_of(tmp_path / "nowhere") == set()
