"""The models of a model repository, and those that a server loads under a profile."""

from pathlib import Path

from convai.description.config_files import profiles_of
from convai.description.recognisers import RECOGNISER_STEP_NAMES, RECOGNISERS
from convai.errors import InvalidArgument


def models_in(repository: Path) -> list[str]:
    """Names of the models and ensembles in the repository, sorted."""
    if not repository.is_dir():
        raise FileNotFoundError(
            f"there is no model repository {repository}; `convai init` makes one, --model-repository names another"
        )
    names = sorted(folder.name for folder in repository.iterdir() if profiles_of(folder))
    if not names:
        raise FileNotFoundError(f"{repository} holds no model: none of its folders has a config.pbtxt")
    return names


def models_of(repository: Path, profile: str) -> list[str]:
    """Names of the models that a server of this profile loads, sorted: all except the steps of other recognisers.

    Raises InvalidArgument if a model lacks the profile, because Triton would silently serve its config.pbtxt instead.
    """
    profiles = {name: profiles_of(repository / name) for name in models_in(repository)}
    having = {name for name, its_profiles in profiles.items() if profile in its_profiles}
    needed = profiles.keys() - set(RECOGNISER_STEP_NAMES)
    if lacking := sorted(needed - having):
        common = set.intersection(*(profiles[name] for name in needed))
        raise InvalidArgument(
            f"profile {profile!r} has no configuration for {', '.join(lacking) if having else 'any model'};"
            f" profiles that every model has: {', '.join(sorted(common)) or 'none'};"
            f" `convai generate --profile {profile}` writes the missing ones"
        )
    steps = {name: [step.name for step in recogniser.steps] for name, recogniser in RECOGNISERS.items()}
    if needed != profiles.keys() and not any(having.issuperset(names) for names in steps.values()):
        expected = " or ".join(", ".join(names) for names in steps.values())
        raise InvalidArgument(f"profile {profile!r} has no configuration for a whole recogniser: {expected}")
    return sorted(having)
