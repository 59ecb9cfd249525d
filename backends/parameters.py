"""Turn the parameters of a model's configuration into a step: a frozen dataclass whose fields they are."""

import dataclasses
import json
from pathlib import Path
from typing import Any


def build_step(step_class: type, model_config: dict, version_folder: Path) -> Any:
    """The step that the configuration describes.

    Parameters
    ----------
    step_class : dataclass whose fields are the step's parameters
    model_config : Triton's ModelConfig as a dictionary; each parameter's string_value is JSON
    version_folder : what fields called `..._file` are relative to

    Raises
    ------
    ValueError that names the step and the parameter
    """
    step = model_config["name"]
    values = {
        name: parse_value(step, name, parameter["string_value"], version_folder)
        for name, parameter in model_config.get("parameters", {}).items()
        if not name.isupper()  # Triton's own, such as EXECUTION_ENV_PATH
    }
    allowed = [field.name for field in dataclasses.fields(step_class)]
    for name in values:
        if name not in allowed:
            raise ValueError(f"{step}: parameter {name} is unknown; allowed are {', '.join(allowed) or 'none'}")
    try:
        return step_class(**values)
    except (TypeError, ValueError, OSError) as error:
        raise ValueError(f"{step}: parameters {values}: {error}") from error


def parse_value(step: str, name: str, text: str, version_folder: Path) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{step}: parameter {name} is {text!r}; allowed is JSON, with strings in quotes") from error
    if isinstance(value, list):
        return tuple(value)
    if name.endswith("_file") and isinstance(value, str):
        return str(version_folder / value)
    return value
