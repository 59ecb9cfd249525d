"""Requests as they go over the wire, built from what a caller passes; the same for every kind of client."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import np_to_triton_dtype

from convai.arrays import Array
from convai.client.errors import InvalidInput
from convai.description.pipeline import ENSEMBLES

OUTPUTS = {ensemble.name: ensemble.outputs for ensemble in ENSEMBLES}
SAMPLE_RATES = range(-(2**31), 2**31)  # what travels as INT32; the server knows which are allowed
SEEDS = range(2**63)


@dataclass(frozen=True)
class Request:
    """One call of one Triton model. `inputs` are arrays of shape (1, *dims): a batch of one row."""

    model: str
    inputs: dict[str, Array]
    outputs: tuple[str, ...]
    parameters: dict[str, int]

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of tritonclient's `infer`."""
        return {
            "model_name": self.model,
            "inputs": [infer_input(name, array) for name, array in self.inputs.items()],
            "outputs": [InferRequestedOutput(name) for name in self.outputs],
            "parameters": self.parameters,
        }

    def read(self, result: InferResult) -> dict[str, Array]:
        """The response's tensors by name, shape = (1, *dims)."""
        return {name: cast(Array, result.as_numpy(name)) for name in self.outputs}


def infer_input(name: str, array: Array) -> InferInput:
    tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return tensor.set_data_from_numpy(array)


def ask_request(
    audio: Array, sample_rate: int, context: str, outputs: Iterable[str] | None = None, seed: int | None = None
) -> Request:
    return Request(
        "convai_ensemble",
        asking_inputs(audio, sample_rate, context),
        chosen_outputs("convai_ensemble", outputs),
        parameters(seed),
    )


def ask_stream_request(audio: Array, sample_rate: int, context: str, seed: int | None = None) -> Request:
    model = "convai_ensemble_stream"
    return Request(model, asking_inputs(audio, sample_rate, context), OUTPUTS[model], parameters(seed))


def transcribe_request(audio: Array, sample_rate: int) -> Request:
    return Request("speech_to_text", hearing_inputs(audio, sample_rate), OUTPUTS["speech_to_text"], {})


def answer_text_request(question: str, context: str) -> Request:
    inputs = {"question": text_row("question", question), "context": text_row("context", context)}
    return Request("question_answering", inputs, OUTPUTS["question_answering"], {})


def speak_request(text: str, seed: int | None = None) -> Request:
    return Request("text_to_speech", {"text": text_row("text", text)}, OUTPUTS["text_to_speech"], parameters(seed))


def speak_stream_request(text: str, seed: int | None = None) -> Request:
    model = "text_to_speech_stream"
    return Request(model, {"text": text_row("text", text)}, OUTPUTS[model], parameters(seed))


def asking_inputs(audio: Array, sample_rate: int, context: str) -> dict[str, Array]:
    return hearing_inputs(audio, sample_rate) | {"context": text_row("context", context)}


def hearing_inputs(audio: Array, sample_rate: int) -> dict[str, Array]:
    rate = whole_number("sample_rate", sample_rate, SAMPLE_RATES)
    return {"question_audio": pcm(audio)[np.newaxis], "sample_rate": np.array([[rate]], np.int32)}


def pcm(audio: Array) -> Array:
    """Mono PCM as the server takes it.

    Parameters
    ----------
    audio : float32 or float64 in [-1, 1], or int16, shape = (samples,)
        int16 is divided by 32768; floats keep their scale.

    Returns
    -------
    float32, shape = (samples,)
    """
    audio = np.asarray(audio)
    if audio.ndim != 1:
        raise InvalidInput(
            f"audio has shape {audio.shape}; expected mono, shape (samples,). "
            "Average the channels first, for example audio.mean(axis=1) for shape (samples, channels)"
        )
    if audio.dtype == np.int16:
        return audio.astype(np.float32) / 32768
    if audio.dtype in (np.float32, np.float64):
        return np.ascontiguousarray(audio, np.float32)
    raise InvalidInput(f"audio has dtype {audio.dtype}; allowed are float32 and float64 in [-1, 1], and int16")


def text_row(name: str, text: str) -> Array:
    if not isinstance(text, str):
        raise InvalidInput(f"{name} is of type {type(text).__name__}; expected str")
    try:
        return np.array([[text.encode()]], np.object_)
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{name} has no UTF-8 form: {error.reason} at character {error.start}") from error


def chosen_outputs(model: str, outputs: Iterable[str] | None) -> tuple[str, ...]:
    """`outputs` checked against what `model` offers; all of them for None."""
    if outputs is None:
        return OUTPUTS[model]
    chosen = tuple(dict.fromkeys([outputs] if isinstance(outputs, str) else outputs))
    unknown = [name for name in chosen if name not in OUTPUTS[model]]
    if unknown or not chosen:
        raise InvalidInput(f"outputs {list(chosen)}: allowed is one or more of {', '.join(OUTPUTS[model])}")
    return chosen


def parameters(seed: int | None) -> dict[str, int]:
    return {} if seed is None else {"seed": whole_number("seed", seed, SEEDS)}


def whole_number(name: str, value: int, allowed: range) -> int:
    if isinstance(value, (int, np.integer)) and int(value) in allowed:
        return int(value)
    raise InvalidInput(f"{name} is {value!r}; allowed is a whole number from {allowed.start} to {allowed.stop - 1}")
