"""Profiles. A profile combines a deployment target, a weight set and a speech recogniser (default: Jasper).

Profile `cpu` is written to every model's config.pbtxt, any other to configs/<profile>.pbtxt beside it, selected with
`convai serve --profile <profile>`. A profile is named after its target; the name of the weight set follows unless it is
the usual one of the target, then that of the recogniser unless it is Jasper.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from convai.description.config_files import config_file
from convai.description.pipeline import Step
from convai.description.recognisers import JASPER, MOONSHINE, Recogniser, steps_with
from convai.generator.settings import Settings
from convai.generator.shapes import network_shapes, warm_sizes
from convai.generator.targets import CPU, CPU_ONNX, GPU, GPU_ONNX, Target
from convai.generator.weight_sets import WeightSet, read_weight_set


@dataclass(frozen=True)
class Profile:
    """The settings of every step, and what all models share."""

    name: str
    target: Target
    weights: WeightSet
    settings: Mapping[str, Settings]
    recogniser: Recogniser = JASPER
    max_batch_size: int = 8

    @property
    def config_file(self) -> str:
        """Path of the configuration within a model's folder."""
        return config_file(self.name)


def build_profile(name: str, target: Target, weights: WeightSet, recogniser: Recogniser = JASPER) -> Profile:
    """Combine a deployment target, a weight set and a recogniser into the settings of every step."""
    settings = {step.name: step_settings(step, target, weights) for step in steps_with(recogniser)}
    return Profile(name, target, weights, settings, recogniser)


def step_settings(step: Step, target: Target, weights: WeightSet) -> Settings:
    """How a step runs on this target with these weights."""
    settings = target.settings_of(step.name)
    if step.is_network:
        shapes = network_shapes(target.buckets, weights.n_group, weights.receptive_field_frames)
        return replace(_with_warm_up(step, settings, target, weights), kind=target.kind, shapes=shapes[step.name])
    parameters = target.buckets.parameters_of(step.name) | weights.parameters_of(step.name)
    return replace(settings, parameters={**settings.parameters, **parameters})


def _with_warm_up(step: Step, settings: Settings, target: Target, weights: WeightSet) -> Settings:
    """OpenVINO takes longer for the first run of each size, so common sizes run before the server is ready."""
    if settings.engine != "openvino":
        return settings
    warm_up = warm_sizes(target.buckets, weights.n_group)[step.name]
    return replace(settings, parameters={**settings.parameters, "warm_up": warm_up})


# By profile: deployment target, weight set (weights/<name>.toml), recogniser.
_PARTS = {
    "cpu": (CPU, "default", JASPER),
    "cpu-moonshine": (CPU, "default", MOONSHINE),
    "cpu-onnx": (CPU_ONNX, "default", JASPER),
    # One process each, because large networks fill the memory. No BF16: its cost to these weights is not measured.
    "cpu-nvidia": (CPU_ONNX.with_one_process_each(), "nvidia", JASPER),
    "gpu": (GPU, "nvidia", JASPER),
    "gpu-onnx": (GPU_ONNX, "nvidia", JASPER),
    "gpu-default": (GPU, "default", JASPER),
    "gpu-onnx-default": (GPU_ONNX, "default", JASPER),
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
