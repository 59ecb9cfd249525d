"""A profile combines a deployment target, a weight set and a recogniser."""

import shutil
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from google.protobuf import text_format
from google.protobuf.json_format import MessageToDict
from support.places import ROOT

from convai.backends.runtime.parameters import build_step, select_step_parameters
from convai.description.pipeline import NETWORK_NAMES, PYTHON_STEP_NAMES, STEPS, VOCODER_BIAS_FILE
from convai.description.recognisers import JASPER
from convai.errors import InvalidArgument
from convai.generator.model_config import empty_config
from convai.generator.profiles import PROFILES, build_profile
from convai.generator.render import render_step
from convai.generator.settings import Settings, ShapeRange, thread_parameters
from convai.generator.shapes import network_shapes
from convai.generator.targets import CPU, GPU, Buckets
from convai.generator.weight_sets import WeightSet, read_weight_set
from convai.networks.jasper.config import BlockConfig, JasperConfig
from convai.networks.jasper.network import LOG_MEL_SIDE_FILE
from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.network import SYMBOLS_SIDE_FILE
from convai.networks.waveglow.config import CONFIGS

MODEL_REPOSITORY = ROOT / "model_repository"
SIZES = {"n_group": 8, "receptive_field_frames": 100}
DEFAULT, NVIDIA = read_weight_set("default"), read_weight_set("nvidia")


def test_every_weight_set_has_a_profile_on_every_target():
    pairs = [(one.target.name, one.weights.name) for one in PROFILES.values() if one.recogniser == JASPER]
    assert sorted(pairs) == [
        ("cpu", "default"),  # the cost of BF16 to NVIDIA's weights is not measured
        *((name, weights) for name in ("cpu-onnx", "gpu", "gpu-cuda", "gpu-onnx") for weights in ("default", "nvidia")),
    ]


@pytest.mark.parametrize("one", ["gpu", "gpu-onnx", "gpu-cuda"])
def test_two_profiles_of_one_target_run_their_steps_alike(one):
    of_weights = ("parameters", "shapes", "warm_up", "accelerator_parameters")
    for name, settings in PROFILES[one].settings.items():
        another = PROFILES[f"{one}-default"].settings[name]
        assert replace(another, **{field: getattr(settings, field) for field in of_weights}) == settings
        if name in NETWORK_NAMES:
            assert another.parameters == settings.parameters


@pytest.mark.parametrize("step", PYTHON_STEP_NAMES)
def test_two_profiles_of_one_weight_set_differ_only_in_their_buckets(step):
    settings = [build_profile("mine", target, DEFAULT).settings[step].parameters for target in (CPU, GPU)]
    cpu, gpu = map(select_step_parameters, settings)
    assert cpu | GPU.buckets.parameters_of(step) == gpu


@pytest.mark.parametrize("name", PROFILES)
def test_networks_run_where_the_target_says_and_python_steps_on_the_cpu(name):
    kinds = {step: settings.kind for step, settings in PROFILES[name].settings.items()}
    assert {kinds[step] for step in kinds.keys() & set(NETWORK_NAMES)} == {PROFILES[name].target.kind}
    assert {kinds[step] for step in kinds.keys() - set(NETWORK_NAMES)} == {"KIND_CPU"}


def rendered_config(name, profile):
    """The configuration of a step as Triton passes it to the step."""
    text = render_step(next(step for step in STEPS if step.name == name), PROFILES[profile])
    return MessageToDict(text_format.Parse(text, empty_config()), preserving_proto_field_name=True)


def write_side_files(model_repository):
    """The files that exports write beside Python steps."""
    LOG_MEL_SIDE_FILE.write(None, JasperConfig(blocks=(BlockConfig(8, 3),)), model_repository)
    SYMBOLS_SIDE_FILE.write(None, Tacotron2Config(), model_repository)
    folder = model_repository / "audio_trimmer" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / VOCODER_BIAS_FILE, np.zeros(513, np.float32))


@pytest.mark.parametrize("name", ["cpu", "gpu", "gpu-default"])  # the Python steps of the others are set up alike
@pytest.mark.parametrize("step", PYTHON_STEP_NAMES)
def test_every_python_step_can_be_built_as_every_profile_sets_it_up(tmp_path, step, name):
    folder = tmp_path / step / "1"
    shutil.copytree(MODEL_REPOSITORY / step / "1", folder)
    write_side_files(tmp_path)
    step_class = getattr(import_module(f"convai.backends.steps.{step}"), step.title().replace("_", ""))
    assert build_step(step_class, rendered_config(step, name), folder)


@pytest.mark.parametrize(("weights", "config"), [(DEFAULT, "mini"), (NVIDIA, "waveglow-256"), (NVIDIA, "waveglow-512")])
def test_the_mel_is_padded_by_at_least_the_receptive_field_of_the_vocoder(weights, config):
    assert weights.receptive_field_frames >= CONFIGS[config].receptive_field_frames
    assert weights.n_group == CONFIGS[config].n_group


def test_a_changed_bucket_changes_the_step_and_the_shapes_of_its_network():
    wider = replace(CPU, buckets=replace(CPU.buckets, frames=(100, 4000)))
    settings = build_profile("mine", wider, DEFAULT).settings
    assert settings["speech_features"].parameters["buckets"] == (100, 4000)
    assert settings["jasper"].shapes["features"] == ShapeRange((64, 100), (64, 4000), (64, 4000))


def test_a_network_accepts_every_size_that_a_step_may_pad_to():
    buckets = Buckets(frames=(7, 9), windows=(1, 5), tokens=(30, 40), symbols=(3, 4), mel_frames=(120, 500))
    shapes = network_shapes(buckets, n_group=64, receptive_field_frames=48)
    limits = {name: (one.smallest, one.largest) for inputs in shapes.values() for name, one in inputs.items()}
    assert limits["features"] == ((64, 7), (64, 9))
    assert limits["input_ids"] == ((1, 30), (5, 40))
    assert limits["symbol_ids"] == ((3,), (4,))
    assert limits["padded_mel"] == ((80, 120), (80, 500))
    assert limits["z"] == ((64, 120 * 4), (64, 500 * 4))


def test_warm_up_runs_sizes_that_the_steps_pad_to():
    settings = PROFILES["cpu"].settings
    warm = {name: settings[name].parameters["warm_up"] for name in ("jasper", "bert", "waveglow")}
    assert [size for _, size in warm["jasper"]["features"]] == [1024, 768, 512, 384, 256, 192, 128]
    assert {size for _, size in warm["jasper"]["features"]} <= set(CPU.buckets.frames)
    assert [size for (size,) in warm["bert"]["input_ids"]] == [384, 256, 192, 128, 96, 64]
    assert {size for (size,) in warm["bert"]["input_ids"]} <= set(CPU.buckets.tokens)
    assert all(4 * mel == z for (_, mel), (_, z) in zip(*warm["waveglow"].values(), strict=True))


def test_only_the_profiles_on_openvino_use_bf16():
    assert rendered_config("bert", "cpu")["parameters"]["HINT_BF16"] == {"string_value": "YES"}
    engines = {name: {one.engine for one in PROFILES[name].settings.values()} for name in PROFILES}
    assert {name for name, used in engines.items() if "openvino" in used} == {"cpu", "cpu-moonshine"}


@pytest.mark.parametrize("sizes", [(), (0, 1), (2, 2), (4, 3)])
def test_buckets_that_do_not_ascend_are_refused(sizes):
    with pytest.raises(ValueError, match="^symbols: expected whole numbers from 1 in strictly ascending order, got "):
        Buckets(symbols=sizes)


def test_shape_ranges_must_ascend():
    with pytest.raises(ValueError, match="128, 64, 256"):
        ShapeRange((128,), (64,), (256,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "KIND_TPU"}, "kind: expected one of KIND_CPU, KIND_GPU, got 'KIND_TPU'"),
        ({"steps": {**CPU.steps, "brett": Settings()}}, "steps: brett are not steps of the pipeline"),
        ({"steps": {}}, "steps: no settings for bert, jasper, tacotron2, waveglow"),
    ],
)
def test_a_wrong_target_is_refused_with_its_name(change, message):
    with pytest.raises(ValueError, match=f"^target cpu: {message}$"):
        replace(CPU, **change)


def test_an_engine_without_a_thread_parameter_is_refused():
    with pytest.raises(ValueError, match="engine: expected one of onnxruntime, openvino, pytorch, got 'tensorrt'"):
        thread_parameters("tensorrt", 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, r"mel_padder\.n_group: expected a whole number, got None"),
        ({"mel_padder": SIZES | {"n_group": 8.0}}, r"mel_padder\.n_group: expected a whole number, got 8\.0"),
        ({"mel_padder": SIZES | {"n_group": 7}}, r"mel_padder\.n_group: expected a divisor of the 256 .*, got 7"),
        ({"mel_padder": SIZES | {"receptive_field_frames": -1}}, "mel_padder.receptive_field_frames: .* 0, got -1"),
        ({"mel_padder": SIZES, "jasper": {}}, "table: expected one of speech_features, .*, got 'jasper'"),
        ({"mel_padder": SIZES, "ctc_decoder": 3}, "ctc_decoder: expected a table of parameters, got 3"),
        ({"mel_padder": SIZES | {"buckets": [128]}}, r"mel_padder\.buckets: expected a string, .*, got \[128\]"),
    ],
)
def test_a_wrong_weight_set_is_refused_with_the_parameter(parameters, message):
    with pytest.raises(InvalidArgument, match=f"^weights mine: {message}$"):
        WeightSet("mine", parameters)


def test_a_weight_set_is_read_from_the_file_of_its_name(tmp_path):
    (tmp_path / "mine.toml").write_text("[mel_padder]\nn_group = 8\nreceptive_field_frames = 100\n")
    assert read_weight_set("mine", tmp_path) == WeightSet("mine", {"mel_padder": SIZES})
    (tmp_path / "wrong.toml").write_text("n_group: 8")
    with pytest.raises(InvalidArgument, match=r"wrong\.toml is not a valid TOML file: "):
        read_weight_set("wrong", tmp_path)


# The keys that Triton 24.10's ONNX Runtime backend reads for TensorRT; any other stops the server.
TENSORRT_KEYS = {
    "precision_mode",
    "trt_engine_cache_enable",
    "trt_engine_cache_path",
    "trt_profile_max_shapes",
    "trt_profile_min_shapes",
    "trt_profile_opt_shapes",
    "trt_timing_cache_enable",
    "trt_timing_cache_path",
}


def accelerator_of(config):
    [accelerator] = config["optimization"]["execution_accelerators"]["gpu_execution_accelerator"]
    return accelerator


def test_tensorrt_in_onnx_runtime_knows_every_size_before_the_first_request():
    accelerator = accelerator_of(rendered_config("waveglow", "gpu-onnx-default"))
    assert (accelerator["name"], accelerator["parameters"].keys()) == ("tensorrt", TENSORRT_KEYS)
    assert accelerator["parameters"]["trt_profile_min_shapes"] == "padded_mel:1x80x64,z:1x64x256"
    assert accelerator["parameters"]["trt_profile_opt_shapes"] == "padded_mel:1x80x384,z:1x64x1536"
    assert accelerator["parameters"]["trt_profile_max_shapes"] == "padded_mel:1x80x4096,z:1x64x16384"
    of_jasper = accelerator_of(rendered_config("jasper", "gpu-onnx"))["parameters"]["trt_profile_max_shapes"]
    assert of_jasper == "features:8x64x3008,features_length:8x1"
    of_bert = accelerator_of(rendered_config("bert", "gpu-onnx"))["parameters"]["trt_profile_max_shapes"]
    assert of_bert.split(",")[0] == "input_ids:1x32x384"


@pytest.mark.parametrize("profile", [name for name in PROFILES if name.startswith("gpu")])
@pytest.mark.parametrize("network", NETWORK_NAMES)
def test_on_a_gpu_a_network_runs_at_its_limits_before_the_server_is_ready(network, profile):
    config = rendered_config(network, profile)
    dims = [{name: one["dims"] for name, one in run["inputs"].items()} for run in config["model_warmup"]]
    for name, limits in PROFILES[profile].settings[network].shapes.items():
        expected = [list(map(str, sizes)) for sizes in (limits.smallest, limits.usual, limits.largest)]
        assert [run[name] for run in dims] == expected
    assert config["model_warmup"][-1]["batch_size"] == config["max_batch_size"]
    assert all(one["zero_data"] for run in config["model_warmup"] for one in run["inputs"].values())


@pytest.mark.parametrize("profile", [name for name in PROFILES if name.startswith("gpu")])
def test_on_a_gpu_only_jasper_batches_and_tacotron2_runs_on_cuda(profile):
    sizes = {name: rendered_config(name, profile)["max_batch_size"] for name in NETWORK_NAMES}
    assert sizes == {"jasper": 8, "bert": 1, "tacotron2": 1, "waveglow": 1}
    assert PROFILES[profile].settings["qa_tokenizer"].parameters["window_buckets"][-1] == 32
    tacotron2 = rendered_config("tacotron2", profile)
    assert (tacotron2["backend"], accelerator_of(tacotron2)["name"]) == ("onnxruntime", "cuda")


def test_the_cuda_profiles_build_no_engine():
    names = {accelerator_of(rendered_config(network, "gpu-cuda"))["name"] for network in NETWORK_NAMES}
    assert names == {"cuda"}
