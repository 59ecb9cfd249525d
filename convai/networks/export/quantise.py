"""Quantise an exported network's weights to INT8: python -m convai.networks.export.quantise model.onnx --out model.onnx

Activations are rounded row by row while the network runs. ONNX Runtime's usual dynamic quantisation is faster still,
but finds one scale for a whole batch, so that an answer would change with the requests that share its batch.
"""

import argparse
import logging
import sys
from pathlib import Path

import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

from convai.errors import reading
from convai.program import run_program

BLOCK_SIZE = 64  # weights that share a scale; smaller blocks are more exact and slower
INT8_ARITHMETIC = 4  # ONNX Runtime's accuracy level at which activations are rounded to INT8 too


def quantise(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep every weight matrix of a matrix product in INT8; inputs, outputs and metadata stay as they are."""
    config = DefaultWeightOnlyQuantConfig(
        block_size=BLOCK_SIZE, is_symmetric=True, accuracy_level=INT8_ARITHMETIC, bits=8
    )
    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.WARNING)  # a line per node
    quantizer = MatMulNBitsQuantizer(model, algo_config=config)
    quantizer.process()
    return quantizer.model.model  # pyright: ignore[reportAttributeAccessIssue]  no ModelProto any more


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m convai.networks.export.quantise", description=__doc__)
    parser.add_argument("model", type=Path, help="exported FP32 model.onnx")
    parser.add_argument("--out", type=Path, required=True, help="file to write; may be the same")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    with reading(args.model, "ONNX file"):
        model = onnx.load(args.model)
    onnx.save(quantise(model), args.out)


if __name__ == "__main__":
    sys.exit(main())
