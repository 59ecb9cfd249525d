"""Write the configurations of the model repository from the description of the pipeline.

convai generate                      write every model's config.pbtxt, the default profile
convai generate --profile gpu        write configs/gpu.pbtxt of every model
convai generate --profile all        write those of every profile
convai generate --cores 16           write more processes of each step, for a machine with 16 cores
convai generate --check              write nothing; fail if a file is stale, the wiring is wrong, or an exported network
                                     differs from its configuration
convai generate --graph              print the pipeline as a Mermaid flowchart
convai generate --graph picture.svg  draw it instead
"""

import argparse
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from convai.description.config_files import DEFAULT_PROFILE
from convai.description.wiring import wiring_of
from convai.errors import InvalidArgument
from convai.generator import graph
from convai.generator.check import check_all
from convai.generator.exported_files import compare_files
from convai.generator.profiles import PROFILES, Profile
from convai.generator.render import differs, render, write
from convai.generator.scaling import CORES, scale_to_cores

ALL = "all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), help="folder Triton loads")
    parser.add_argument(
        "--profile",
        default=DEFAULT_PROFILE,
        choices=(*PROFILES, ALL),
        help="whose configurations, default %(default)s",
    )
    parser.add_argument(
        "--cores", type=int, default=CORES, metavar="N", help="of the machine that serves, default %(default)s"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale or wrong")
    parser.add_argument("--graph", nargs="?", const="-", metavar="FILE", help="draw an ensemble: Mermaid, .svg or .png")
    parser.add_argument(
        "--ensemble", default="convai_ensemble", help="the ensemble that --graph draws, default %(default)s"
    )


def run(args: argparse.Namespace) -> None:
    if args.cores < 1:
        raise InvalidArgument(f"--cores: expected at least 1, got {args.cores}")
    names = PROFILES if args.profile == ALL else [args.profile]
    profiles = [scale_to_cores(PROFILES[name], args.cores) for name in names]
    if args.graph == "-":
        print(graph.mermaid(wiring_of(args.ensemble)), end="")
    elif args.graph:
        graph.draw(wiring_of(args.ensemble), args.graph)
    elif args.check:
        check_rendered(args.model_repository, profiles)
    else:
        changed = write(render(profiles), args.model_repository)
        print("\n".join(f"wrote {path}" for path in changed) or "every configuration is up to date")
        print("\n".join(check_all(args.model_repository, profiles)))


def check_rendered(model_repository: Path, profiles: Sequence[Profile]) -> None:
    """Raise InvalidArgument if a configuration differs from a fresh render or its wiring is wrong."""
    if not model_repository.is_dir():
        raise InvalidArgument(f"{model_repository} is not a folder; name the model repository with --model-repository")
    stale = [name for name, text in render(profiles).items() if differs(model_repository / name, text)]
    if stale:
        raise InvalidArgument(f"{', '.join(stale)}: not what the pipeline's description says; run `convai generate`")
    print("\n".join(check_all(model_repository, profiles)))
    check_exported(model_repository, profiles)


def check_exported(model_repository: Path, profiles: Sequence[Profile]) -> None:
    """Print which exported networks each profile serves.

    Raises InvalidArgument if one differs from the configurations of all these profiles. With several profiles it may
    differ from some: those of other weights.
    """
    found = {profile.name: compare_files(model_repository, profile) for profile in profiles}
    for name, differences in found.items():
        agreeing = [network for network, sentences in differences.items() if not sentences]
        print(f"{name}: exported networks that agree: {', '.join(agreeing) or 'none'}")
        for sentence in chain.from_iterable(differences.values()):
            print(f"{name}: not for this profile: {sentence}")
    for network in {network for differences in found.values() for network in differences}:
        per_profile = [differences[network] for differences in found.values() if network in differences]
        if all(per_profile):
            raise InvalidArgument("; ".join(dict.fromkeys(chain.from_iterable(per_profile))))
