"""PyTriton: Triton again, but the whole pipeline is one model, which takes and gives what `convai_ensemble` does.

One instance per core. PyTriton calls them in threads of this process, where one would wait for the other's Python, so
each hands its question to a process of its own.
"""

import argparse
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

from benchmarks.speed.baselines.serving import HOST, serve_until_told
from benchmarks.speed.in_process import Arrays
from benchmarks.speed.paths import OUTPUTS, request_of
from benchmarks.speed.pipeline_process import PipelineProcess
from benchmarks.speed.question_set import asked_questions
from convai.backends.management.launcher import resolve_ports
from convai.client.requests import Request
from convai.description import pipeline as description
from convai.description.wiring import wiring_of

ENSEMBLE = "convai_ensemble"
STARTS = 3  # on a busy machine its model is now and then refused by the socket that tells it its configuration


def infer_function(pipeline: PipelineProcess) -> Callable[..., Arrays]:
    @batch
    def infer(**inputs: np.ndarray) -> Arrays:
        texts = {name: array.astype(np.object_) for name, array in inputs.items() if array.dtype.kind == "S"}
        return pipeline.run(Request(ENSEMBLE, inputs | texts, OUTPUTS, {})).tensors

    return infer


def pytriton_tensor(tensor: description.Tensor) -> Tensor:
    dtype: Any = bytes if tensor.dtype == "BYTES" else triton_to_np_dtype(tensor.dtype)
    return Tensor(name=tensor.name, dtype=dtype, shape=tensor.dims)


def serve(args: argparse.Namespace) -> None:
    pipelines = [PipelineProcess(args.model_repository, args.profile, args.threads) for _ in range(args.cores)]
    for pipeline, question in product(pipelines, asked_questions(args.manifest, args.limit)):
        pipeline.run(request_of(question))
    (http_port,) = resolve_ports(HOST, {"--http-port": 0})
    addresses = {"grpc_address": HOST, "grpc_port": args.port, "http_address": HOST, "http_port": http_port}
    config = TritonConfig(**addresses, **{"allow_metrics": False})
    for starts_left in reversed(range(STARTS)):
        with Triton(config=config) as triton:
            bind(triton, pipelines)
            try:
                triton.run()
            except InferenceServerException:
                if not starts_left:
                    raise
            else:
                serve_until_told()
                return


def bind(triton: Triton, pipelines: Sequence[PipelineProcess]) -> None:
    wiring = wiring_of(ENSEMBLE)
    triton.bind(
        model_name=ENSEMBLE,
        infer_func=[infer_function(pipeline) for pipeline in pipelines],
        inputs=[pytriton_tensor(tensor) for tensor in wiring.inputs],
        outputs=[pytriton_tensor(tensor) for tensor in wiring.outputs if tensor.name in OUTPUTS],
        config=ModelConfig(max_batch_size=1),  # a core does one question after another
    )
