"""Which file of a model's folder configures it under which profile: the rule that Triton and we go by."""

from pathlib import Path

DEFAULT_PROFILE = "cpu"
DEFAULT_CONFIG_FILE = "config.pbtxt"  # what Triton reads unless it is told the name of another
CONFIGS_FOLDER = "configs"  # where Triton looks for the others, as <name>.pbtxt


def config_file(profile: str) -> str:
    """Path of a profile's configuration within a model's folder."""
    return DEFAULT_CONFIG_FILE if profile == DEFAULT_PROFILE else f"{CONFIGS_FOLDER}/{profile}.pbtxt"


def profiles_of(model_folder: Path) -> set[str]:
    """The profiles that a model's folder has a configuration for; none if it is no model's folder."""
    default = {DEFAULT_PROFILE} if (model_folder / DEFAULT_CONFIG_FILE).is_file() else set()
    return default | {config.stem for config in model_folder.glob(f"{CONFIGS_FOLDER}/*.pbtxt")}
