"""Export networks into the model repository, each checked against the network it came from.

convai export                                       all four, each in its default format
convai export --network jasper --format torchscript
convai export --checkpoint bert_large_qa.pt --precision fp16 --report parity.json
convai export --checkpoint waveglow_256.pt --set sigma=0.6
convai export --checkpoint QuartzNet15x5Base-En.nemo
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from convai.errors import InvalidArgument
from convai.networks.checkpoints.checkpoint import read_checkpoint
from convai.networks.checkpoints.weights import Weights, apply_options, find_weights, read_weights
from convai.networks.export.export import Export, Job
from convai.networks.export.several import export_all
from convai.networks.network import FORMAT_NAMES, PRECISIONS
from convai.networks.registry import NETWORKS
from convai.package_data import packaged
from convai.tables import format_table

REPORT_COLUMNS = ("network", "config", "format", "precision", "inputs", "largest difference", "tolerance")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--network",
        nargs="+",
        choices=NETWORKS,
        metavar="NAME",
        help=f"networks to export, of {', '.join(NETWORKS)} (default: all)",
    )
    parser.add_argument("--config", metavar="NAME", help="size of the network (default: that of its weights, or mini)")
    parser.add_argument("--format", choices=FORMAT_NAMES, help="default: onnx")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the weights (default: fp32)")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="as NVIDIA or Hugging Face publish it")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="safetensors file of the one network named")
    parser.add_argument(
        "--weights-folder",
        type=Path,
        default=packaged("weights"),
        metavar="FOLDER",
        help="of <network>.safetensors (default: that of the package)",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        dest="options",
        help="change fields of the one network's configuration, such as sigma or prenet_dropout_seed",
    )
    parser.add_argument("--seed", type=int, default=0, help="of random weights if there is no file (default: 0)")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), help="folder Triton loads")
    parser.add_argument("--force", action="store_true", help="export again even if the installed file is up to date")
    parser.add_argument("--report", type=Path, metavar="FILE", help="print all parity figures, and write them as JSON")


def run(args: argparse.Namespace) -> None:
    jobs = []
    for name, weights in choose_weights(args):
        network, chosen = NETWORKS[name], apply_options(weights, args.options)
        jobs.append(Job(network, chosen, args.format or network.formats[0], args.precision, args.seed))
    results = []
    for result, was_up_to_date in export_all(jobs, args.model_repository, args.force):
        results.append(result)
        print(summarise(result) + (" (was up to date)" if was_up_to_date else ""), flush=True)
    if args.report:
        print(format_table(REPORT_COLUMNS, list(report_rows(results))))
        args.report.write_text(json.dumps([result.record() for result in results], indent=2) + "\n")


def choose_weights(args: argparse.Namespace) -> Iterator[tuple[str, Weights]]:
    """Yield the name of each network to export, with its weights."""
    one_network = args.network and len(args.network) == 1
    if args.checkpoint:
        yield read_checkpoint_weights(args)
    elif (args.weights or args.options) and not one_network:
        raise InvalidArgument("--weights and --set need exactly one network; name it with --network")
    elif args.weights:
        yield args.network[0], read_weights(NETWORKS[args.network[0]], args.weights, args.config)
    else:
        for name in args.network or NETWORKS:
            yield name, find_weights(NETWORKS[name], args.weights_folder, args.config, args.seed)


def read_checkpoint_weights(args: argparse.Namespace) -> tuple[str, Weights]:
    checkpoint = read_checkpoint(args.checkpoint)
    name = checkpoint.network.name
    print(f"{args.checkpoint}: {checkpoint.converted.layout}", flush=True)
    if args.network and args.network != [name]:
        raise InvalidArgument(f"--network: {args.checkpoint} is of {name}, got {', '.join(args.network)}")
    return name, checkpoint.weights()


def summarise(result: Export) -> str:
    job = result.job
    return (
        f"{job.network.name:<10}{job.weights.config_name}, {job.format_name}, {job.precision}, {job.weights.origin}: "
        f"differs by at most {result.worst.largest_difference:.1e} "
        f"(tolerance {job.tolerance.largest_difference:.0e}) -> {result.path}"
    )


def report_rows(results: Iterable[Export]) -> Iterator[tuple[str, ...]]:
    """Yield one row per export and parity case."""
    for result in results:
        job = result.job
        for case in result.parity:
            inputs = " ".join(f"{name} {size}" for name, size in case.case.items() if name != "seed")
            figures = (f"{case.largest_difference:.1e}", f"{job.tolerance.largest_difference:.0e}")
            yield job.network.name, job.weights.config_name, job.format_name, job.precision, inputs, *figures
