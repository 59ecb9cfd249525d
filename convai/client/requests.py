"""Requests as they go over the wire, built from the caller's arguments; the same for every kind of client."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import np_to_triton_dtype

from convai.arrays import Array
from convai.client.errors import InvalidInput
from convai.description.limits import MAX_CONTEXT_BYTES, MAX_SPEED, MIN_SPEED
from convai.description.pipeline import ENSEMBLES

OUTPUTS = {ensemble.name: ensemble.outputs for ensemble in ENSEMBLES}
SAMPLE_RATES = range(-(2**31), 2**31)  # what fits into the INT32 tensor; the server checks the real limits
SEEDS = range(2**63)
# With this header, errors in a stream have a gRPC status as in other calls; without it, Triton sends a text only.
STREAM_HEADERS = {"triton_grpc_error": "true"}


@dataclass(frozen=True)
class Request:
    """One call of one Triton model. `inputs` are arrays of shape (1, *dims): a batch of one row."""

    model: str
    inputs: dict[str, Array]
    outputs: tuple[str, ...]
    parameters: Mapping[str, float]

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of tritonclient's `infer`."""
        return {
            "model_name": self.model,
            "inputs": [to_infer_input(name, array) for name, array in self.inputs.items()],
            "outputs": [InferRequestedOutput(name) for name in self.outputs],
            "parameters": self.parameters,
        }

    def read(self, result: InferResult) -> dict[str, Array]:
        """Return the response's tensors by name, shape = (1, *dims)."""
        return {name: cast(Array, result.as_numpy(name)) for name in self.outputs}


def to_infer_input(name: str, array: Array) -> InferInput:
    tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    return tensor.set_data_from_numpy(array)


def ask_request(
    audio: Array,
    sample_rate: int,
    context: str,
    outputs: Iterable[str] | None = None,
    seed: int | None = None,
    stream: bool = False,
) -> Request:
    inputs = audio_inputs(audio, sample_rate) | {"context": bounded_text_row("context", context)}
    return _request("convai_ensemble_stream" if stream else "convai_ensemble", inputs, seed, outputs)


def transcribe_request(audio: Array, sample_rate: int, with_words: bool = False) -> Request:
    outputs = None if with_words else ("question",)
    return _request("speech_to_text", audio_inputs(audio, sample_rate), outputs=outputs)


def answer_text_request(question: str, context: str) -> Request:
    texts = {"question": question, "context": context}
    inputs = {name: bounded_text_row(name, text) for name, text in texts.items()}
    return _request("question_answering", inputs)


def speak_request(text: str, seed: int | None = None, stream: bool = False, speed: float = 1.0) -> Request:
    model = "text_to_speech_stream" if stream else "text_to_speech"
    return _request(model, {"text": text_row("text", text)}, seed, speed=speed)


def _request(
    model: str,
    inputs: dict[str, Array],
    seed: int | None = None,
    outputs: Iterable[str] | None = None,
    speed: float = 1.0,
) -> Request:
    parameters: dict[str, float] = {} if seed is None else {"seed": check_integer("seed", seed, SEEDS)}
    if check_speed(speed) != 1:
        parameters["speed"] = float(speed)
    return Request(model, inputs, select_outputs(model, outputs), parameters)


def audio_inputs(audio: Array, sample_rate: int) -> dict[str, Array]:
    rate = check_integer("sample_rate", sample_rate, SAMPLE_RATES)
    return {"question_audio": to_pcm(audio)[np.newaxis], "sample_rate": np.array([[rate]], np.int32)}


def to_pcm(audio: Array) -> Array:
    """Convert audio to the mono PCM that the server takes.

    Parameters
    ----------
    audio : float32 or float64 in [-1, 1], or int16, shape = (samples,)
        int16 is divided by 32768; floats keep their scale.

    Returns
    -------
    float32, shape = (samples,)

    Raises
    ------
    InvalidInput : for another shape or dtype
    """
    audio = np.asarray(audio)
    if audio.ndim != 1:
        raise InvalidInput(
            f"audio: expected mono, shape (samples,), got shape {audio.shape}. "
            "Average the channels first, for example audio.mean(axis=1) for shape (samples, channels)"
        )
    if audio.dtype == np.int16:
        return audio.astype(np.float32) / 32768
    if audio.dtype in (np.float32, np.float64):
        return np.ascontiguousarray(audio, np.float32)
    raise InvalidInput(f"audio: expected float32 or float64 in [-1, 1], or int16, got {audio.dtype}")


def text_row(name: str, text: str) -> Array:
    """Return the UTF-8 bytes of `text` as a BYTES tensor, shape = (1, 1)."""
    if not isinstance(text, str):
        raise InvalidInput(f"{name}: expected str, got {type(text).__name__}")
    try:
        return np.array([[text.encode()]], np.object_)
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{name}: not valid Unicode: {error.reason} at character {error.start}") from error


def bounded_text_row(name: str, text: str) -> Array:
    """Return `text_row`, refusing here what the server would refuse."""
    row = text_row(name, text)
    num_bytes = len(row.item())
    if num_bytes > MAX_CONTEXT_BYTES:
        raise InvalidInput(f"{name}: expected at most {MAX_CONTEXT_BYTES} bytes of UTF-8, got {num_bytes}")
    return row


def select_outputs(model: str, outputs: Iterable[str] | None) -> tuple[str, ...]:
    """Return `outputs` without duplicates if `model` has them all; None selects all outputs of the model."""
    if outputs is None:
        return OUTPUTS[model]
    selected = tuple(dict.fromkeys([outputs] if isinstance(outputs, str) else outputs))
    if not selected or not set(selected) <= set(OUTPUTS[model]):
        raise InvalidInput(f"outputs: expected one or more of {', '.join(OUTPUTS[model])}, got {list(selected)}")
    return selected


def check_integer(name: str, value: int, valid: range) -> int:
    if isinstance(value, (int, np.integer)) and int(value) in valid:
        return int(value)
    raise InvalidInput(f"{name}: expected a whole number from {valid.start} to {valid.stop - 1}, got {value!r}")


def check_speed(speed: float) -> float:
    if isinstance(speed, (int, float, np.number)) and MIN_SPEED <= speed <= MAX_SPEED:
        return speed
    raise InvalidInput(f"speed: expected a number from {MIN_SPEED:g} to {MAX_SPEED:g}, got {speed!r}")
