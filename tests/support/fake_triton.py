"""A gRPC server with Triton's protocol that delays, fails and streams responses on demand."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
from tritonclient.grpc.service_pb2 import (
    ModelInferResponse,
    ModelReadyResponse,
    ModelStatisticsResponse,
    ModelStreamInferResponse,
    ServerReadyResponse,
)
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceServicer, add_GRPCInferenceServiceServicer_to_server
from tritonclient.utils import np_to_triton_dtype, serialize_byte_tensor

OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_connection_age_ms", 1000),  # short, for tests in which clients reconnect
]


class FakeTriton(GRPCInferenceServiceServicer):
    """Answers every request with `outputs` after `delay_seconds`, or fails it with `error` (status, details).

    A stream sends each of `streamed`, outputs by name, before its error; `is_cancelled` is set when it is over.
    """

    def __init__(self, outputs=None, error=None, delay_seconds=0.0, streamed=()):
        self.outputs, self.error, self.delay_seconds, self.streamed = outputs or {}, error, delay_seconds, streamed
        self.requests = []
        self.is_cancelled = threading.Event()

    def ServerReady(self, request, context):
        return ServerReadyResponse(ready=True)

    def ModelReady(self, request, context):
        return ModelReadyResponse(ready=True)

    def ModelStatistics(self, request, context):
        return ModelStatisticsResponse()

    def ModelInfer(self, request, context):
        self.requests.append(request)
        is_over = threading.Event()  # set also when the caller leaves or the server stops, so no test waits for a delay
        context.add_callback(is_over.set)
        is_over.wait(self.delay_seconds)
        if self.error:
            context.abort(*self.error)
        return response_to(request, self.outputs)

    def ModelStreamInfer(self, requests, context):
        context.add_callback(self.is_cancelled.set)
        request = next(requests)
        self.requests.append(request)
        for outputs in self.streamed:
            yield ModelStreamInferResponse(infer_response=response_to(request, outputs))
        self.is_cancelled.wait(self.delay_seconds)
        if self.error:
            context.abort(*self.error)


def response_to(request, outputs):
    response = ModelInferResponse(model_name=request.model_name)
    for requested in request.outputs:
        array = outputs[requested.name]
        response.outputs.add(name=requested.name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape)
        response.raw_output_contents.append(raw_bytes(array))
    return response


def raw_bytes(array: np.ndarray) -> bytes:
    is_text = array.dtype == np.object_ and array.size
    return serialize_byte_tensor(array).item() if is_text else array.tobytes()


@contextmanager
def serving(fake: FakeTriton, credentials: grpc.ServerCredentials | None = None, address: str = "127.0.0.1:0"):
    """Serve `fake`, over TLS with `credentials`; yields its address."""
    server = grpc.server(ThreadPoolExecutor(2), options=OPTIONS)
    add_GRPCInferenceServiceServicer_to_server(fake, server)
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    try:
        yield f"{address.partition(':')[0]}:{port}"
    finally:
        server.stop(grace=None).wait(10)
