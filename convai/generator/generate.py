"""Write every config.pbtxt of the model repository from the pipeline's description.

convai generate                      write what has changed
convai generate --check              write nothing; fail if a file is stale or the wiring is wrong
convai generate --graph              print the pipeline as a Mermaid flowchart
convai generate --graph picture.svg  draw it instead
"""

import argparse
from pathlib import Path

from convai.generator import graph
from convai.generator.check import check_all
from convai.generator.render import differs, render, write
from convai.errors import InvalidArgument
from convai.description.wiring import wiring_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), help="folder Triton loads")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale or wrong")
    parser.add_argument("--graph", nargs="?", const="-", metavar="FILE", help="draw an ensemble: Mermaid, .svg or .png")
    parser.add_argument("--ensemble", default="convai_ensemble", help="the ensemble --graph draws")


def run(args: argparse.Namespace) -> None:
    if args.graph == "-":
        print(graph.mermaid(wiring_of(args.ensemble)), end="")
    elif args.graph:
        graph.draw(wiring_of(args.ensemble), args.graph)
    elif args.check:
        _check(args.model_repository)
    else:
        changed = write(render(), args.model_repository)
        print("\n".join(f"wrote {path}" for path in changed) or "every configuration is up to date")
        print("\n".join(check_all(args.model_repository)))


def _check(model_repository: Path) -> None:
    if not model_repository.is_dir():
        raise InvalidArgument(f"{model_repository} is no folder; name the model repository with --model-repository")
    stale = [name for name, text in render().items() if differs(model_repository / name, text)]
    if stale:
        raise InvalidArgument(f"{', '.join(stale)}: not what the pipeline's description says; run `convai generate`")
    print("\n".join(check_all(model_repository)))
