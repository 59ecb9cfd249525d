"""Which file of a model's folder configures it under which profile, by Triton's rule for --model-config-name."""

from pathlib import Path

DEFAULT_PROFILE = "cpu"
DEFAULT_CONFIG_FILE = "config.pbtxt"  # what Triton reads unless it is told the name of another
CONFIGS_FOLDER = "configs"  # where Triton looks for the others, as <name>.pbtxt


def config_file(profile: str) -> str:
    """Path of a profile's configuration within a model's folder."""
    return DEFAULT_CONFIG_FILE if profile == DEFAULT_PROFILE else f"{CONFIGS_FOLDER}/{profile}.pbtxt"


def profile_of(config: Path) -> str:
    """Name of the profile that a configuration file belongs to; the reverse of `config_file`."""
    return config.stem if config.parent.name == CONFIGS_FOLDER else DEFAULT_PROFILE


def profiles_of(model_folder: Path) -> set[str]:
    """The profiles that a model's folder has a configuration for; none if it is no model's folder."""
    default = {DEFAULT_PROFILE} if (model_folder / DEFAULT_CONFIG_FILE).is_file() else set()
    return default | {config.stem for config in model_folder.glob(f"{CONFIGS_FOLDER}/*.pbtxt")}
