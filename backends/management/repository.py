"""What a model repository holds: its models, and whether each has a configuration for the chosen profile."""

from pathlib import Path

from convai.pipeline.config_files import profiles_of
from convai.pipeline.mistakes import CallerMistake


def models_in(repository: Path) -> list[str]:
    """Names of the models and ensembles in the repository, sorted."""
    if not repository.is_dir():
        raise FileNotFoundError(
            f"there is no model repository {repository}; `convai init` makes one, --model-repository names another"
        )
    names = sorted(folder.name for folder in repository.iterdir() if profiles_of(folder))
    if not names:
        raise FileNotFoundError(f"{repository} holds no model: no folder in it has a config.pbtxt")
    return names


def check_profile(repository: Path, profile: str) -> None:
    """Raise unless every model has the profile; Triton itself would silently serve config.pbtxt in its place."""
    profiles = {name: profiles_of(repository / name) for name in models_in(repository)}
    lacking = [name for name, its_profiles in profiles.items() if profile not in its_profiles]
    if lacking:
        common = set.intersection(*profiles.values())
        raise CallerMistake(
            f"profile {profile!r} has no configuration for {', '.join(lacking)};"
            f" profiles that every model has: {', '.join(sorted(common)) or 'none'}"
        )
