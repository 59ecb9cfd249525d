"""PyTriton: the whole pipeline is one model with the inputs and outputs of `convai_ensemble`, one instance per core.

PyTriton calls its instances in threads of this process, where they would share one interpreter lock, so each instance
passes its question to a process of its own.
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

from benchmarks.speed.baselines.server import HOST, serve_until_stdin_closes
from benchmarks.speed.in_process import Arrays, PipelineProcess
from benchmarks.speed.paths import OUTPUTS, build_request
from benchmarks.speed.question_set import read_questions
from convai.backends.management.launcher import resolve_ports
from convai.client.requests import Request
from convai.description import pipeline as description
from convai.description.wiring import wiring_of

ENSEMBLE = "convai_ensemble"
START_ATTEMPTS = 3  # on a busy machine, the socket that carries the model's configuration sometimes refuses it


def build_infer_function(pipeline: PipelineProcess) -> Callable[..., Arrays]:
    @batch
    def infer(**inputs: np.ndarray) -> Arrays:
        texts = {name: array.astype(np.object_) for name, array in inputs.items() if array.dtype.kind == "S"}
        return pipeline.run(Request(ENSEMBLE, inputs | texts, OUTPUTS, {})).tensors

    return infer


def build_tensor(tensor: description.Tensor) -> Tensor:
    dtype: Any = bytes if tensor.dtype == "BYTES" else triton_to_np_dtype(tensor.dtype)
    return Tensor(name=tensor.name, dtype=dtype, shape=tensor.dims)


def serve(args: argparse.Namespace) -> None:
    pipelines = [PipelineProcess(args.model_repository, args.profile, args.threads) for _ in range(args.cores)]
    for pipeline, question in product(pipelines, read_questions(args.manifest, args.limit)):
        pipeline.run(build_request(question))
    (http_port,) = resolve_ports(HOST, {"--http-port": 0})
    addresses = {"grpc_address": HOST, "grpc_port": args.port, "http_address": HOST, "http_port": http_port}
    config = TritonConfig(**addresses, **{"allow_metrics": False})
    for attempts_left in reversed(range(START_ATTEMPTS)):
        with Triton(config=config) as triton:
            bind_pipelines(triton, pipelines)
            try:
                triton.run()
            except InferenceServerException:
                if not attempts_left:
                    raise
            else:
                serve_until_stdin_closes()
                return


def bind_pipelines(triton: Triton, pipelines: Sequence[PipelineProcess]) -> None:
    wiring = wiring_of(ENSEMBLE)
    triton.bind(
        model_name=ENSEMBLE,
        infer_func=[build_infer_function(pipeline) for pipeline in pipelines],
        inputs=[build_tensor(tensor) for tensor in wiring.inputs],
        outputs=[build_tensor(tensor) for tensor in wiring.outputs if tensor.name in OUTPUTS],
        config=ModelConfig(max_batch_size=1),  # a core runs one question after another
    )
