"""Send requests to a Triton server, one by one or at the same time."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

TRITON_TYPES = {
    np.dtype(np.float32): "FP32",
    np.dtype(np.int32): "INT32",
    np.dtype(np.int64): "INT64",
    np.dtype(np.object_): "BYTES",
}


def infer(client, model, outputs=None, parameters=None, **inputs):
    """Outputs of one request by name; `inputs` are rows without their batch axis, or arrays of several rows."""
    tensors = make_inputs(**inputs)
    requested = [triton.InferRequestedOutput(name) for name in outputs] if outputs else None
    response = client.infer(model, tensors, outputs=requested, parameters=parameters, client_timeout=30)
    return {output.name: response.as_numpy(output.name) for output in response.get_response().outputs}


def make_inputs(**inputs):
    tensors = []
    for name, value in inputs.items():
        array = np.array([[value]], dtype=np.object_) if isinstance(value, bytes) else np.atleast_2d(value)
        tensors.append(triton.InferInput(name, array.shape, TRITON_TYPES[array.dtype]))
        tensors[-1].set_data_from_numpy(array)
    return tensors


def infer_together(client, model, requests):
    """Send all requests at the same time; the result holds the outputs or the exception of each."""

    def answer(inputs):
        try:
            return infer(client, model, **inputs)
        except InferenceServerException as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(answer, requests))


def infer_batched(client, model, requests, min_batch_size, max_tries=20):
    """Likewise, repeated until a batch of that size was formed, because on a busy machine requests arrive apart."""
    for _ in range(max_tries):
        answers = infer_together(client, model, requests)
        if largest_batch(client, model) >= min_batch_size:
            return answers
    raise AssertionError(f"{model} formed no batch of {min_batch_size} requests in {max_tries} tries")


def largest_batch(client, model):
    statistics = client.get_inference_statistics(model).model_stats[0]
    return max(batch.batch_size for batch in statistics.batch_stats)
