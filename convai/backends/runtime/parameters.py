"""Read the parameters of a model's configuration; those of a Python step are the fields of its frozen dataclass."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convai.backends.runtime.python_step import PythonStep
from convai.errors import InvalidArgument

# Read by the adapter, not fields of a step.
ADAPTER_PARAMETERS = ("niceness", "waiting_for", "max_waiting", "max_streams", "max_in_flight")


def select_step_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a step's class; names in capitals are Triton's, such as EXECUTION_ENV_PATH."""
    return {name: parameters[name] for name in parameters if not name.isupper() and name not in ADAPTER_PARAMETERS}


def build_step(step_class: type[PythonStep], model_config: Mapping[str, Any], version_folder: Path) -> PythonStep:
    """Build the step that a configuration describes.

    Parameters
    ----------
    step_class : dataclass whose fields are the step's parameters
    model_config : Triton's ModelConfig as a dictionary; each parameter's string_value is JSON
    version_folder : fields named `..._file` are relative to it

    Raises
    ------
    InvalidArgument
        With the names of the step and the parameter.
    """
    step = model_config["name"]
    fields = {field.name: field.default for field in dataclasses.fields(step_class)}
    values = {
        name: parse_value(step, name, parameter["string_value"])
        for name, parameter in select_step_parameters(model_config.get("parameters", {})).items()
    }
    for name in values:
        if name not in fields:
            raise InvalidArgument(
                f"{step}: parameter {name} is unknown; expected one of {', '.join(fields) or 'none at all'}"
            )
    for name, default in fields.items():
        if name.endswith("_file") and isinstance(values.get(name, default), str):
            values[name] = str(version_folder / values.get(name, default))
    try:
        return step_class(**values)
    except (TypeError, ValueError, OSError) as error:
        raise InvalidArgument(f"{step}: parameters {values}: {error}") from error


def parse_value(step: str, name: str, text: str) -> Any:
    """Parse a parameter's JSON; a list becomes a tuple, because the fields of a frozen dataclass are hashable."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidArgument(
            f"{step}: parameter {name}: expected JSON, with strings in quotes, got {text!r}"
        ) from error
    return tuple(value) if isinstance(value, list) else value


def read_whole_number(model_config: Mapping[str, Any], parameter: str, default: int, lowest: int = 1) -> int:
    """Read a parameter that is written without quotes, as Triton's own backends expect it."""
    text = model_config.get("parameters", {}).get(parameter, {}).get("string_value", str(default))
    if not text.isdecimal() or int(text) < lowest:
        raise InvalidArgument(
            f"{model_config['name']}: parameter {parameter}: expected a whole number from {lowest}, got {text!r}"
        )
    return int(text)
