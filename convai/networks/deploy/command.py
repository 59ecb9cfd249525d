"""Deploy a PyTorch network of your own: export it, compare the export with it, and write its Triton model folder.

    convai deploy --module my_models:build --inputs example.npz --to torchscript-script --name my_model

The npz file holds one array per argument of forward, under its name, with the batch axis first. Another axis varies if
its size differs between several files; otherwise it is fixed. Each row is checked alone, in the batch as given and in
the largest batch. The check is only as good as the inputs: they should take every branch of the code.
"""

import argparse
from pathlib import Path

from convai.description.wire_names import wire_name
from convai.networks.deploy.deploy import TARGETS, Deployed, Deployment, deploy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--module", required=True, metavar="PACKAGE:FACTORY", help="callable that returns the nn.Module"
    )
    parser.add_argument(
        "--inputs", required=True, nargs="+", type=Path, metavar="NPZ", help="example inputs of all sizes"
    )
    parser.add_argument("--to", required=True, choices=TARGETS, help="script keeps control flow, trace does not")
    parser.add_argument("--name", required=True, help="of the model in the server")
    parser.add_argument(
        "--outputs", nargs="+", metavar="NAME", help="of the tensors that forward returns (default: output...)"
    )
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), help="folder Triton loads")
    parser.add_argument("--max-batch-size", type=int, default=8, metavar="ROWS", help="default: %(default)s")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-4,
        metavar="DIFFERENCE",
        help="largest absolute difference between an output and the network's (default: %(default)s)",
    )
    parser.add_argument("--allow-fixed-branches", action="store_true", help="install a trace that fixed a branch")
    parser.add_argument("--replace", action="store_true", help="replace the whole model folder of this name")


def run(args: argparse.Namespace) -> None:
    job = Deployment(
        module=args.module,
        inputs=args.inputs,
        target=args.to,
        name=args.name,
        model_repository=args.model_repository,
        outputs=args.outputs,
        max_batch_size=args.max_batch_size,
        tolerance=args.tolerance,
        allow_fixed_branches=args.allow_fixed_branches,
        replace=args.replace,
    )
    print(describe(job, deploy(job)))


def describe(job: Deployment, deployed: Deployed) -> str:
    step = deployed.interface.step
    sizes = sorted({len(result.case.rows) for result in deployed.outputs})
    named = [("input", tensor.name, tensor) for tensor in step.inputs]
    named += [("output", wire_name(tensor, i, job.format.engine), tensor) for i, tensor in enumerate(step.outputs)]
    tensors = [f"{kind:<8}{name} {tensor.dtype} {list(tensor.dims)}" for kind, name, tensor in named]
    return "\n".join(
        [
            f"differs by at most {deployed.largest_difference:.1e} (tolerance {job.tolerance:.0e}) "
            f"in {len(deployed.outputs)} runs on batches of {', '.join(map(str, sizes))}",
            *tensors,
            *([f"{deployed.row_influence}: the server will not batch requests"] if deployed.row_influence else []),
            f"installed as {deployed.folder}; `convai serve` loads every model of the repository when it starts",
        ]
    )
