"""Send requests to a Triton server, one or several at once."""

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
    """Outputs by name for one request; inputs are rows without their batch axis, or arrays of several rows."""
    tensors = []
    for name, value in inputs.items():
        array = np.array([[value]], dtype=np.object_) if isinstance(value, bytes) else np.atleast_2d(value)
        tensors.append(triton.InferInput(name, array.shape, TRITON_TYPES[array.dtype]))
        tensors[-1].set_data_from_numpy(array)
    wanted = [triton.InferRequestedOutput(name) for name in outputs] if outputs else None
    answer = client.infer(model, tensors, outputs=wanted, parameters=parameters, client_timeout=30)
    return {output.name: answer.as_numpy(output.name) for output in answer.get_response().outputs}


def infer_together(client, model, requests):
    """The outputs of each request or the exception it met, all sent at once."""

    def answer(inputs):
        try:
            return infer(client, model, **inputs)
        except InferenceServerException as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(answer, requests))


def infer_joined(client, model, requests, fewest, most_tries=20):
    """Likewise, of the first time that at least so many have shared a batch; on a busy machine they arrive apart."""
    for _ in range(most_tries):
        answers = infer_together(client, model, requests)
        if largest_batch(client, model) >= fewest:
            return answers
    raise AssertionError(f"no {fewest} of {len(requests)} requests to {model} shared a batch in {most_tries} tries")


def largest_batch(client, model):
    statistics = client.get_inference_statistics(model).model_stats[0]
    return max(batch.batch_size for batch in statistics.batch_stats)
