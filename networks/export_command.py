"""Export networks into the model repository, each checked against the network it came from.

    convai export                                       all four, each in its default format
    convai export --network jasper --format torchscript
    convai export --network bert --weights bert.safetensors --report parity.json
"""

import json
from pathlib import Path

from convai.networks.export import Export, export
from convai.networks.registry import FORMATS, NETWORKS, Network
from convai.networks.weights import Weights, find_weights, read_weights


def add_arguments(parser) -> None:
    parser.add_argument(
        "--network", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME",
        help=f"which to export, of {', '.join(NETWORKS)} (default: all)",
    )
    parser.add_argument("--config", metavar="NAME", help="size of the network (default: that of its weights, or mini)")
    parser.add_argument("--format", choices=FORMATS, help="default: torchscript for tacotron2, onnx for the others")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="safetensors file for the one network named")
    parser.add_argument("--weights-folder", type=Path, default=Path("weights"), help="folder of <network>.safetensors")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights where there is no file (default: 0)")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), help="folder Triton loads")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write every figure as JSON")


def run(args) -> None:
    if args.weights and len(args.network) != 1:
        raise ValueError("--weights belongs to one network; name it with --network")
    exports = []
    for name in args.network:
        network = NETWORKS[name]
        weights = chosen_weights(network, args)
        exports.append(export(network, weights, args.format or network.formats[0], args.model_repository, args.seed))
        print(summary(exports[-1]), flush=True)
    if args.report:
        args.report.write_text(json.dumps([result.record() for result in exports], indent=2) + "\n")


def chosen_weights(network: Network, args) -> Weights:
    if args.weights:
        return read_weights(args.weights, args.config)
    return find_weights(network, args.weights_folder, args.config, args.seed)


def summary(result: Export) -> str:
    return (
        f"{result.network.name:<10}{result.weights.config_name}, {result.format}, {result.precision}, "
        f"{result.weights.origin}: differs by at most {result.largest_difference:.1e} "
        f"(allowed {result.network.tolerance:.0e}) -> {result.path}"
    )
