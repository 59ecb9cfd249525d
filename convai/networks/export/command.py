"""Export networks into the model repository, each checked against the network it came from.

convai export                                       all four, each in its default format
convai export --network jasper --format torchscript
convai export --checkpoint bert_large_qa.pt --precision fp16 --report parity.json
convai export --checkpoint waveglow_256.pt --set sigma=0.6
convai export --checkpoint QuartzNet15x5Base-En.nemo
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from convai.errors import InvalidArgument
from convai.networks.checkpoints.checkpoint import read_checkpoint
from convai.networks.checkpoints.weights import Weights, find_weights, read_weights, with_options
from convai.networks.export.export import Export, Job
from convai.networks.export.report import as_json, table
from convai.networks.export.several import export_all
from convai.networks.registry import FORMAT_NAMES, NETWORKS, PRECISIONS, Network
from convai.package_data import packaged


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--network",
        nargs="+",
        choices=NETWORKS,
        metavar="NAME",
        help=f"which to export, of {', '.join(NETWORKS)} (default: all)",
    )
    parser.add_argument("--config", metavar="NAME", help="size of the network (default: that of its weights, or mini)")
    parser.add_argument(
        "--to",
        "--format",
        dest="format",
        choices=FORMAT_NAMES,
        help="default: onnx",
    )
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the weights (default: fp32)")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="as NVIDIA or Hugging Face publish it")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="safetensors file for the one network named")
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
    parser.add_argument("--seed", type=int, default=0, help="of the random weights where there is no file (default: 0)")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), help="folder Triton loads")
    parser.add_argument("--force", action="store_true", help="export again what is installed and up to date")
    parser.add_argument("--report", type=Path, metavar="FILE", help="print every parity figure, and write them as JSON")


def run(args: argparse.Namespace) -> None:
    jobs = [chosen_job(NETWORKS[name], weights, args) for name, weights in chosen_weights(args)]
    results = []
    for result, was_up_to_date in export_all(jobs, args.model_repository, args.force):
        results.append(result)
        print(summary(result) + (" (was up to date)" if was_up_to_date else ""), flush=True)
    if args.report:
        print(table(results))
        args.report.write_text(as_json(results))


def chosen_job(network: Network, weights: Weights, args: argparse.Namespace) -> Job:
    chosen = with_options(weights, args.options)
    return Job(network, chosen, args.format or network.formats[0], args.precision, args.seed)


def chosen_weights(args: argparse.Namespace) -> Iterator[tuple[str, Weights]]:
    """Name each network to export, with its weights."""
    one_network = args.network and len(args.network) == 1
    if args.checkpoint:
        yield checkpoint_weights(args)
    elif (args.weights or args.options) and not one_network:
        raise InvalidArgument("--weights and --set belong to one network; name it with --network")
    elif args.weights:
        yield args.network[0], read_weights(NETWORKS[args.network[0]], args.weights, args.config)
    else:
        for name in args.network or NETWORKS:
            yield name, find_weights(NETWORKS[name], args.weights_folder, args.config, args.seed)


def checkpoint_weights(args: argparse.Namespace) -> tuple[str, Weights]:
    checkpoint = read_checkpoint(args.checkpoint)
    print(f"{args.checkpoint}: {checkpoint.reading.layout}", flush=True)
    if args.network and args.network != [checkpoint.network]:
        raise InvalidArgument(f"{args.checkpoint} is of {checkpoint.network}; --network says {', '.join(args.network)}")
    return checkpoint.network, checkpoint.weights()


def summary(result: Export) -> str:
    job = result.job
    return (
        f"{job.network.name:<10}{job.weights.config_name}, {job.format_name}, {job.precision}, {job.weights.origin}: "
        f"differs by at most {result.worst.largest_difference:.1e} "
        f"(allowed {job.tolerance.largest_difference:.0e}) -> {result.path}"
    )
