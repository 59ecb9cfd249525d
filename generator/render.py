"""Renders every model's configuration, one per profile, from the pipeline's description."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import jinja2

from convai.generator.pipeline import ENSEMBLES, STEPS, Call, Ensemble, Step
from convai.generator.profiles import PROFILES
from convai.generator.settings import MODEL_FILES, Profile
from convai.generator.wire_names import wire_name
from convai.generator.wiring import Wiring, WiringError, check_every_output_is_used, wire

DATA_TYPES = {"FP32": "TYPE_FP32", "INT32": "TYPE_INT32", "INT64": "TYPE_INT64", "BYTES": "TYPE_STRING"}


def render(
    steps: Iterable[Step] = STEPS, ensembles: Iterable[Ensemble] = ENSEMBLES, profiles: Iterable[Profile] | None = None
) -> dict[str, str]:
    """Text of every configuration file by its path within the model repository.

    Raises WiringError when the description contradicts itself.
    """
    steps_by_name = {step.name: step for step in steps}
    wirings = [wire(ensemble, steps_by_name) for ensemble in ensembles]
    check_every_output_is_used(steps_by_name.values(), wirings)
    files = {}
    for profile in PROFILES.values() if profiles is None else profiles:
        for step in steps_by_name.values():
            files[f"{step.name}/{profile.config_file}"] = _render_step(step, profile)
        for wiring in wirings:
            files[f"{wiring.name}/{profile.config_file}"] = _render_ensemble(wiring, steps_by_name, profile)
    return files


def write(files: dict[str, str], model_repository: Path) -> list[Path]:
    """Write rendered files and the version folder each model needs; returns the paths whose text has changed."""
    changed = []
    for name, text in files.items():
        path = model_repository / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed.append(path)
        version = model_repository / name.split("/")[0] / "1"
        if not version.exists():
            version.mkdir()
            (version / ".gitkeep").touch()
    return changed


def _render_step(step: Step, profile: Profile) -> str:
    settings = _settings(step, profile)
    return _environment().get_template("step.pbtxt.j2").render(
        step=step,
        profile=profile,
        settings=settings,
        model_file=MODEL_FILES[settings.engine],
        inputs=step.inputs,
        outputs=[replace(tensor, name=wire_name(tensor, i, settings.engine)) for i, tensor in enumerate(step.outputs)],
    )


def _render_ensemble(wiring: Wiring, steps: dict[str, Step], profile: Profile) -> str:
    calls = [_with_wire_names(call, steps[call.step], profile) for call in wiring.calls]
    return _environment().get_template("ensemble.pbtxt.j2").render(wiring=wiring, calls=calls, profile=profile)


def _with_wire_names(call: Call, step: Step, profile: Profile) -> Call:
    engine = _settings(step, profile).engine
    names = {tensor.name: wire_name(tensor, i, engine) for i, tensor in enumerate(step.outputs)}
    return replace(call, outputs={names[tensor]: edge for tensor, edge in call.outputs.items()})


def _settings(step: Step, profile: Profile):
    if step.name not in profile.settings:
        raise WiringError(f"profile {profile.name}: step {step.name} has no settings")
    settings = profile.settings[step.name]
    if step.is_network == (settings.engine == "python"):
        kind = "a network needs an engine" if step.is_network else "a Python step runs on no other engine"
        raise WiringError(f"profile {profile.name}: step {step.name} has engine {settings.engine!r}; {kind}")
    return settings


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("convai.generator"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quoted"] = lambda text: json.dumps(text, ensure_ascii=False)
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    environment.filters["data_type"] = DATA_TYPES.__getitem__
    return environment
