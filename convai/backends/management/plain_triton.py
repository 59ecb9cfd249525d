"""Make a backend folder for Triton itself, and print the command that serves the model repository with it.

convai backends FOLDER                                     prints the command with its environment
convai backends FOLDER --profile gpu --host 0.0.0.0        in NVIDIA's container
"""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from convai.backends.management.repository import models_of
from convai.backends.management.tritonserver import (
    TritonFiles,
    check_stub,
    find_triton,
    model_options,
    prepare_backends,
    server_environment,
    server_variables,
)
from convai.description.config_files import DEFAULT_PROFILE
from convai.errors import InvalidArgument, refuse_folder_in_use


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder to make, with Triton's backends and the engines it lacks")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default=DEFAULT_PROFILE, help="configuration of every model (default %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s: local only)")


def run(args: argparse.Namespace) -> None:
    models = models_of(args.model_repository, args.profile)
    check_folders(args.folder, args.model_repository)
    triton = find_triton()
    check_stub(triton.stub, server_environment())
    prepare_backends(triton, args.folder.resolve())
    print(" \\\n    ".join(map(shlex.quote, command(triton, args, models))))


def check_folders(folder: Path, model_repository: Path) -> None:
    """Raise InvalidArgument unless `folder` can be made and Triton can use both paths."""
    refuse_folder_in_use(folder)
    for path in (folder.resolve(), model_repository.resolve()):
        if shlex.quote(str(path)) != str(path):
            raise InvalidArgument(
                f"Triton passes {path} to a shell without quotes; choose a path without spaces and special characters"
            )


def command(triton: TritonFiles, args: argparse.Namespace, models: Sequence[str]) -> list[str]:
    """The words to type. `env` sets the environment of this one program, so the shell's own does not matter."""
    return [
        "env",
        "--chdir=/",  # stubs import from their working directory
        *(f"{name}={value}" for name, value in server_variables().items()),
        *triton.command(),
        *model_options(args.model_repository.resolve(), args.folder.resolve(), args.profile, models),
        f"--grpc-address={args.host}",
        f"--metrics-address={args.host}",
        "--allow-http=false",
    ]
