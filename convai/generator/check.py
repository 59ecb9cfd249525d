"""Checks the configurations of a model repository: parsed as Triton parses them, then the wiring of the ensembles."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from convai.description.config_files import profile_of
from convai.description.pipeline import ENSEMBLES, Call, Ensemble, Step, Tensor
from convai.description.recognisers import steps_with
from convai.description.wiring import Wiring, WiringError, check_every_output_is_used, wire
from convai.errors import InvalidArgument
from convai.generator.largest_tensors import estimate_memory
from convai.generator.model_config import DataType, ModelConfig, empty_config
from convai.generator.profiles import Profile
from convai.generator.render import DATA_TYPES

DTYPE_OF = {data_type: dtype for dtype, data_type in DATA_TYPES.items()}


def check_repository(model_repository: Path, profile: Profile) -> dict[str, ModelConfig]:
    """Parse the configurations of a profile, check the wiring of the pipeline, and return all by model name.

    Other models, such as deployed ones, are only parsed.
    Raises InvalidArgument, or WiringError for wiring, which names the model and the tensor.
    """
    configs = {name: parse(model_repository / name / profile.config_file) for name in _names(profile)}
    check_configs(configs)
    others = sorted({folder.name for folder in model_repository.iterdir()} - configs.keys())
    files = {name: model_repository / name / profile.config_file for name in others}
    return configs | {name: parse(path) for name, path in files.items() if path.is_file()}


def parse(path: Path) -> ModelConfig:
    """Parse one configuration. Its `name` must equal the model's folder, or Triton refuses it."""
    if not path.exists():
        # Triton would silently fall back to config.pbtxt.
        raise InvalidArgument(f"{path} is missing; `convai generate --profile {profile_of(path)}` writes it")
    try:
        config = text_format.Parse(path.read_text(encoding="utf-8"), empty_config())
    except text_format.ParseError as error:
        raise InvalidArgument(f"{path} is not a valid Triton model configuration: {error}") from error
    folder = path.parent.parent.name if path.parent.name == "configs" else path.parent.name
    if config.name != folder:
        raise InvalidArgument(f"{path}: name is {config.name!r}, but its folder is {folder!r}")
    return config


def check_configs(configs: Mapping[str, ModelConfig]) -> None:
    """Raise WiringError if an ensemble is wired wrongly to the steps among these configurations."""
    steps = {name: step_of(config) for name, config in configs.items() if not config.HasField("ensemble_scheduling")}
    wirings = []
    for config in configs.values():
        if config.HasField("ensemble_scheduling"):
            wiring = wire(_ensemble(config), steps, implied=False)
            _check_nothing_unused(config, wiring)
            _check_callers_tensors(config, wiring)
            _check_batch_size(config, configs)
            wirings.append(wiring)
    check_every_output_is_used(steps.values(), wirings)


def check_all(model_repository: Path, profiles: Iterable[Profile]) -> list[str]:
    """Check the configurations of these profiles. Returns one line per profile that says what was checked."""
    return [_check_one(model_repository, profile) for profile in profiles]


def _check_one(model_repository: Path, profile: Profile) -> str:
    others = sorted(check_repository(model_repository, profile).keys() - set(_names(profile)))
    beside = f"; other models: {', '.join(others)}" if others else ""
    steps = len(steps_with(profile.recogniser))
    line = f"{profile.name}: {steps} steps and {len(ENSEMBLES)} ensembles, wiring correct{beside}"
    if profile.target.kind != "KIND_GPU":
        return line
    memory = ", ".join(f"{name} {size:.1f}" for name, size in estimate_memory(profile).items())
    return f"{line}; GB of the largest run in FP32, besides weights: about {memory}"


def _names(profile: Profile) -> list[str]:
    return [model.name for model in (*steps_with(profile.recogniser), *ENSEMBLES)]


def _tensor(io: Any) -> Tensor:
    name = DataType.Name(io.data_type)
    if name not in DTYPE_OF:
        raise InvalidArgument(f"tensor {io.name}: data type {name} is not used in this pipeline")
    return Tensor(io.name, DTYPE_OF[name], tuple(io.dims), getattr(io, "optional", False))


def step_of(config: ModelConfig) -> Step:
    """Return the step that a configuration describes."""
    return Step(
        config.name,
        inputs=tuple(_tensor(io) for io in config.input),
        outputs=tuple(_tensor(io) for io in config.output),
        is_network=config.backend != "python",
        is_decoupled=config.model_transaction_policy.decoupled,
    )


def _ensemble(config: ModelConfig) -> Ensemble:
    return Ensemble(
        config.name,
        inputs=tuple(io.name for io in config.input),
        outputs=tuple(io.name for io in config.output),
        calls=tuple(
            Call(step.model_name, dict(step.input_map), dict(step.output_map))
            for step in config.ensemble_scheduling.step
        ),
    )


def _check_nothing_unused(config: ModelConfig, wiring: Wiring) -> None:
    for step, call in zip(config.ensemble_scheduling.step, wiring.calls, strict=True):
        for tensor in step.output_map.keys() - call.outputs.keys():
            # Triton refuses to load such an ensemble.
            raise WiringError(f"{config.name}: step {step.model_name} maps its output {tensor}, but nothing uses it")


def _check_callers_tensors(config: ModelConfig, wiring: Wiring) -> None:
    for declared, wired in zip((*config.input, *config.output), (*wiring.inputs, *wiring.outputs), strict=True):
        if _tensor(declared) != wired:
            raise WiringError(
                f"{config.name}: tensor {wired.name} is declared {_described(_tensor(declared))}, "
                f"its step has {_described(wired)}"
            )


def _described(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.dims)}" + (", optional" if tensor.optional else "")


def _check_batch_size(config: ModelConfig, configs: Mapping[str, ModelConfig]) -> None:
    for step in config.ensemble_scheduling.step:
        allowed = configs[step.model_name].max_batch_size
        if config.max_batch_size > allowed:
            raise WiringError(
                f"{config.name}: max_batch_size {config.max_batch_size} "
                f"exceeds that of step {step.model_name}, {allowed}"
            )
