"""Create a model repository that can be served: configurations of every profile, files of the steps, default networks.

convai init          into ./model_repository, where `convai serve` looks
convai init FOLDER
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from convai.errors import InvalidArgument, refuse_folder_in_use
from convai.generator.render import render, write
from convai.networks.checkpoints.weights import find_weights
from convai.networks.export.export import Job
from convai.networks.export.several import export_all
from convai.networks.registry import NETWORKS
from convai.package_data import packaged

NOT_COPIED = shutil.ignore_patterns("__pycache__", ".deploy-*", ".export-*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path("model_repository"), help="to create, default %(default)s"
    )


def run(args: argparse.Namespace) -> None:
    make_repository(args.folder)
    print(f"{args.folder} is ready; serve it with: convai serve --model-repository {args.folder}")


def make_repository(folder: Path) -> None:
    """Create the model repository at `folder`, completely or not at all; InvalidArgument if `folder` is in use."""
    refuse_folder_in_use(folder)
    folder = folder.resolve()
    if folder == Path.cwd():  # the shell would stay in the folder that is replaced
        raise InvalidArgument(f"folder: expected one to create, got the current one, {folder}")
    place = folder.parent
    place.mkdir(parents=True, exist_ok=True)
    # Beside the result, because a rename is atomic only within one file system.
    with tempfile.TemporaryDirectory(prefix=".init-", dir=place) as scratch:
        draft = Path(scratch) / folder.name
        shutil.copytree(packaged("model_repository"), draft, ignore=NOT_COPIED, copy_function=shutil.copyfile)
        write(render(), draft)  # of every profile
        export_networks(draft)
        os.replace(draft, folder)


def export_networks(model_repository: Path) -> None:
    """Export the default networks; those that were copied and are up to date are skipped."""
    jobs = [
        Job(network, find_weights(network, packaged("weights"), None, seed=0), network.formats[0])
        for network in NETWORKS.values()
    ]
    for result, _ in export_all(jobs, model_repository):
        print(f"{result.job.network.name}: {result.path.name} from {result.job.weights.origin}", flush=True)
