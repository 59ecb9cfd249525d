"""Profiles. A profile combines a deployment target, a weight set and a speech recogniser (default: Jasper).

Profile `cpu` is written to every model's config.pbtxt, any other to configs/<profile>.pbtxt beside it, selected with
`convai serve --profile <profile>`. A profile is named after its target; the name of the weight set follows unless it is
the usual one of the target, then that of the recogniser unless it is Jasper.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from convai.description.config_files import config_file
from convai.description.pipeline import N_GROUP, Step
from convai.description.recognisers import JASPER, MOONSHINE, Recogniser, steps_with
from convai.generator.settings import Settings, Shape
from convai.generator.shapes import network_shapes, warm_sizes
from convai.generator.targets import CPU, CPU_ONNX, ENGINE_CACHE, GPU, GPU_CUDA, GPU_ONNX, Target
from convai.generator.weight_sets import WeightSet, read_weight_set


@dataclass(frozen=True)
class Profile:
    """The settings of every step, and what all models share."""

    name: str
    target: Target
    weights: WeightSet
    settings: Mapping[str, Settings]
    recogniser: Recogniser = JASPER

    @property
    def config_file(self) -> str:
        """Path of the configuration within a model's folder."""
        return config_file(self.name)

    def fill_sizes(self, dims: Iterable[int | str]) -> list[int]:
        """Replace the names among dims by the sizes of the weight set."""
        sizes = {N_GROUP: self.weights.n_group}
        return [size if isinstance(size, int) else sizes[size] for size in dims]


def build_profile(name: str, target: Target, weights: WeightSet, recogniser: Recogniser = JASPER) -> Profile:
    """Combine a deployment target, a weight set and a recogniser into the settings of every step."""
    settings = {step.name: step_settings(step, target, weights) for step in steps_with(recogniser)}
    return Profile(name, target, weights, settings, recogniser)


def step_settings(step: Step, target: Target, weights: WeightSet) -> Settings:
    """How a step runs on this target with these weights."""
    settings = target.settings_of(step.name)
    if step.is_network:
        shapes = network_shapes(target.buckets, weights.n_group, weights.receptive_field_frames)
        settings = replace(settings, kind=target.kind, shapes=shapes[step.name])
        return _for_gpu(settings) if target.kind == "KIND_GPU" else _with_warm_up(step, settings, target, weights)
    parameters = target.buckets.parameters_of(step.name) | weights.parameters_of(step.name)
    return replace(settings, parameters={**settings.parameters, **parameters})


def _with_warm_up(step: Step, settings: Settings, target: Target, weights: WeightSet) -> Settings:
    """OpenVINO takes longer for the first run of each size, so common sizes run before the server is ready."""
    if settings.engine != "openvino":
        return settings
    warm_up = warm_sizes(target.buckets, weights.n_group)[step.name]
    return replace(settings, parameters={**settings.parameters, "warm_up": warm_up})


def _for_gpu(settings: Settings) -> Settings:
    """Triton's own engines run each network once at its smallest, usual and largest size before the server is ready.

    The engines are built and the memory is allocated then; a GPU with too little memory fails at the start.
    """
    ranges = {name: one.batches(settings.max_batch_size) for name, one in settings.shapes.items()}
    warm_up = tuple({name: shapes[i] for name, shapes in ranges.items()} for i in range(3))
    if settings.accelerator == "tensorrt":
        settings = replace(settings, accelerator_parameters=tensorrt_parameters(ranges))
    return replace(settings, warm_up=warm_up)


def tensorrt_parameters(ranges: Mapping[str, Sequence[Shape]]) -> dict[str, str]:
    """Configure TensorRT inside ONNX Runtime, under the names that Triton's backend reads.

    Without the shapes, an engine is built again for each request that exceeds those before it.
    """
    return {
        "precision_mode": "FP32",
        "trt_engine_cache_enable": "true",
        "trt_engine_cache_path": ENGINE_CACHE,
        "trt_timing_cache_enable": "true",
        "trt_timing_cache_path": ENGINE_CACHE,
        **{
            f"trt_profile_{limit}_shapes": ",".join(
                f"{name}:{'x'.join(map(str, shapes[i]))}" for name, shapes in ranges.items()
            )
            for i, limit in enumerate(("min", "opt", "max"))
        },
    }


# By profile: deployment target, weight set (weights/<name>.toml), recogniser.
_PARTS = {
    "cpu": (CPU, "default", JASPER),
    "cpu-moonshine": (CPU, "default", MOONSHINE),
    "cpu-onnx": (CPU_ONNX, "default", JASPER),
    # One process each, because large networks fill the memory. No BF16: its cost to these weights is not measured.
    "cpu-nvidia": (CPU_ONNX.with_one_process_each(), "nvidia", JASPER),
    "gpu": (GPU, "nvidia", JASPER),
    "gpu-onnx": (GPU_ONNX, "nvidia", JASPER),
    "gpu-cuda": (GPU_CUDA, "nvidia", JASPER),
    "gpu-default": (GPU, "default", JASPER),
    "gpu-onnx-default": (GPU_ONNX, "default", JASPER),
    "gpu-cuda-default": (GPU_CUDA, "default", JASPER),
}


@cache
def _profile(name: str) -> Profile:
    target, weights, recogniser = _PARTS[name]
    return build_profile(name, target, read_weight_set(weights), recogniser)


class _Profiles(Mapping[str, Profile]):
    """Every profile by its name. A profile is built, and its weight set read, at the first access."""

    def __getitem__(self, name: str) -> Profile:
        return _profile(name)

    def __iter__(self) -> Iterator[str]:
        return iter(_PARTS)

    def __len__(self) -> int:
        return len(_PARTS)


PROFILES = _Profiles()
