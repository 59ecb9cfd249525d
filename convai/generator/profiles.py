"""Profiles: a kind of machine (targets.py), a set of weights (weights/<name>.toml) and the recogniser to hear with
(pipeline/recogniser.py) make every step's settings.

`cpu` becomes every model's config.pbtxt; any other profile becomes configs/<profile>.pbtxt beside it and is chosen
with `convai serve --profile <profile>`. A name is the machine's, with that of the weights unless they are the ones that
such a machine is usually for, and that of the recogniser unless they are Jasper.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from convai.description.config_files import config_file
from convai.description.pipeline import Step
from convai.description.recognisers import JASPER, MOONSHINE, Recogniser, steps_with
from convai.generator.settings import Settings
from convai.generator.shapes import network_shapes, warm_sizes
from convai.generator.targets import CPU, CPU_ONNX, GPU, GPU_ONNX, Target
from convai.generator.weight_sets import DEFAULT_WEIGHTS, NVIDIA_WEIGHTS, WeightSet


@dataclass(frozen=True)
class Profile:
    """Settings for every step, and what all models share."""

    name: str
    machine: Target
    weights: WeightSet
    settings: Mapping[str, Settings]
    recogniser: Recogniser = JASPER
    max_batch_size: int = 8

    @property
    def config_file(self) -> str:
        """Path of the configuration within a model's folder."""
        return config_file(self.name)


def profile(name: str, machine: Target, weights: WeightSet, recogniser: Recogniser = JASPER) -> Profile:
    """The settings that the steps of the pipeline have on this machine with these weights and recogniser."""
    settings = {step.name: step_settings(step, machine, weights) for step in steps_with(recogniser)}
    return Profile(name, machine, weights, settings, recogniser)


def step_settings(step: Step, machine: Target, weights: WeightSet) -> Settings:
    settings = machine.settings_of(step.name)
    if step.is_network:
        shapes = network_shapes(machine.buckets, weights.n_group, weights.receptive_field_frames)
        return replace(warmed_up(step, settings, machine, weights), kind=machine.kind, shapes=shapes[step.name])
    parameters = machine.buckets.parameters_of(step.name) | weights.parameters_of(step.name)
    return replace(settings, parameters={**settings.parameters, **parameters})


def warmed_up(step: Step, settings: Settings, machine: Target, weights: WeightSet) -> Settings:
    """OpenVINO takes longer for the first run of every size."""
    if settings.engine != "openvino":
        return settings
    warm_up = warm_sizes(machine.buckets, weights.n_group)[step.name]
    return replace(settings, parameters={**settings.parameters, "warm_up": warm_up})


PROFILES = {
    one.name: one
    for one in (
        profile("cpu", CPU, DEFAULT_WEIGHTS),
        profile("cpu-moonshine", CPU, DEFAULT_WEIGHTS, MOONSHINE),
        profile("cpu-onnx", CPU_ONNX, DEFAULT_WEIGHTS),
        # To try NVIDIA's checkpoints where there is no GPU. Slow; a second process of one would take gigabytes more.
        # In FP32, for what BF16 costs them has not been measured.
        profile("cpu-nvidia", CPU_ONNX.with_one_process_each(), NVIDIA_WEIGHTS),
        profile("gpu", GPU, NVIDIA_WEIGHTS),
        profile("gpu-onnx", GPU_ONNX, NVIDIA_WEIGHTS),
        profile("gpu-default", GPU, DEFAULT_WEIGHTS),
        profile("gpu-onnx-default", GPU_ONNX, DEFAULT_WEIGHTS),
    )
}
