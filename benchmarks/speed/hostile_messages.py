"""Hostile messages to each interface: random, truncated and mutated requests, and attacks that once got through."""

import json
import math
import random
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import websockets.sync.client
from tritonclient.grpc import service_pb2
from websockets.exceptions import ConnectionClosed, InvalidStatus

from benchmarks.speed.question_set import Question
from convai.arrays import Array
from convai.description.pipeline import DTYPES, MODEL_NAMES, STEPS, Tensor
from convai.description.wiring import wiring_of

SECONDS = 10.0  # within which every message must be answered or its connection closed
SIZES = (-(2**63), -1, 0, 1, 2, 7, 64, 4096, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1)
STRANGE = (None, True, -1, 0, 1e308, "", " ", "\x00", "\ud83d", "🙂" * 50, [], {}, [[[]]], {"a": [{}]})

pb: Any = service_pb2  # its classes are made when it is imported
WIDTHS = {"BOOL": 1, "INT64": 8}  # bytes, others 4
CALLS = (
    "RepositoryModelUnload",
    "RepositoryModelLoad",
    "SystemSharedMemoryRegister",
    "TraceSetting",
    "LogSettings",
    "X",
)
TYPED = ("INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED", "ALREADY_EXISTS")
UNREAD_SENTENCE = "The rainforest covers most of the basin, and nine countries share it. "
REFUSALS = ("is restricted", "maximum queue size", "streams are open")  # with UNAVAILABLE
UNREADABLE = "pars"  # gRPC itself answers bytes that are no message with INTERNAL

PATHS = (b"/../" * 9, b"/page/%2e%2e/%2e%2e/app.py", b"/v1/none", b"/%00", b"/" + b"a" * 9000)
GET = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
POST = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
FORM = b"multipart/form-data; boundary=b"
FORM_BODY = b'--b\r\nContent-Disposition: form-data; name="%s"; filename="q"\r\n\r\n%s\r\n--b--\r\n'
HALF_A_BODY = POST % (b"/v1/ask", FORM, 10_000) + b"--b\r\n"
SILENT_WEBSOCKET = (
    b"GET /v1/listen HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
EVENTS = (
    *("audio-chunk", "audio-start", "audio-stop", "transcribe", "transcript", "describe", "error", "x", "ping"),
    *("synthesize", "synthesize-start", "synthesize-chunk", "synthesize-stop"),
)


Address = tuple[str, int]


class Odd(Exception):
    """An answer that this message must not get."""


@dataclass(frozen=True)
class Message:
    """`data` for an interface, which must refuse it if it `is_invalid`; `path` is the call or the foreign origin."""

    kind: str
    data: Any
    is_invalid: bool = True
    path: str = ""


def mutate(rng: random.Random, data: bytes) -> bytes:
    mutated = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        mutated[int(len(mutated) * rng.random() ** 4)] = rng.randrange(256)  # most of them near the beginning
    return bytes(mutated)


def truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(1, len(data))]


class GrpcAttacks:
    """Triton's calls with bytes, so that a message need not be a protobuf."""

    def __init__(self, address: str, question: Question):
        self.channel = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self.question = question
        self.valid = build_question(question.audio, question.sample_rate, question.context.encode())

    def draw(self, rng: random.Random) -> Message:
        return rng.choice((self._draw_tensors, self._draw_limits, self._draw_broken, self._draw_call))(rng)

    def _draw_tensors(self, rng: random.Random) -> Message:
        message = pb.ModelInferRequest(model_name=rng.choice(MODEL_NAMES))
        for tensor in inputs_of(message.model_name):
            shape = [1, *(size if isinstance(size, int) and size > 0 else rng.randint(1, 9) for size in tensor.dims)]
            content = rng.randbytes(math.prod(shape) * WIDTHS.get(tensor.dtype, 4))
            content = len(content).to_bytes(4, "little") + content if tensor.dtype == "BYTES" else content
            if rng.random() < 0.2:
                shape = [rng.choice(SIZES) for _ in range(rng.randint(0, 4))]
                content = rng.randbytes(rng.choice((1, 8, 64, 1000)))  # without any, it is counted apart
            dtype = tensor.dtype if rng.random() < 0.9 else rng.choice((*DTYPES, "", "x"))
            message.inputs.add(name=tensor.name, datatype=dtype, shape=shape)
            message.raw_input_contents.append(content)
        return Message("random tensors", message.SerializeToString(), False)

    def _draw_limits(self, rng: random.Random) -> Message:
        audio, rate, context = self.question.audio, self.question.sample_rate, self.question.context.encode()
        choices: tuple[Any, ...] = (
            (
                np.where(rng.randrange(len(audio)) == np.arange(len(audio)), rng.choice((np.nan, np.inf, 1e6)), audio),
                rate,
            ),
            (audio[: rng.randint(0, 799)], rate),
            (np.tile(audio, 31 * rate // len(audio) + 1), rate),
            (audio, rng.choice((0, -1, 7_999, 48_001, 2**31 - 1, -(2**31)))),
            (audio, rate, b"x" * rng.choice((32_769, 100_000))),
            (audio, rate, context + bytes([rng.randrange(0x80, 0xC0)])),
        )
        return Message("beyond a limit", build_question(*rng.choice(choices)))

    def _draw_broken(self, rng: random.Random) -> Message:
        if rng.random() < 0.9:
            return Message("truncated", truncate(rng, self.valid))
        return Message("mutated", mutate(rng, self.valid), False)

    def _draw_call(self, rng: random.Random) -> Message:
        data = pb.RepositoryModelUnloadRequest(model_name="bert").SerializeToString()
        return Message("closed calls", rng.choice((data, b"", rng.randbytes(20))), path=rng.choice(CALLS))

    def draw_crashes(self) -> list[Message]:
        """What nothing in front of Triton 2.51 can refuse."""
        huge = pb.ModelInferRequest(model_name="speech_features", raw_input_contents=[b"", bytes(4)])
        huge.inputs.add(name="question_audio", datatype="FP32", shape=[1, 2**62])
        huge.inputs.add(name="sample_rate", datatype="INT32", shape=[1, 1])
        classified = pb.ModelInferRequest.FromString(self.valid)
        classified.outputs[0].parameters["classification"].int64_param = 1
        messages = {"2^62 elements without content": huge, "classification of a text": classified}
        return [Message(kind, message.SerializeToString()) for kind, message in messages.items()]

    def open_unread_stream(self, characters: int = 4000) -> Any:
        """Have a long text spoken; nobody reads the responses, until the call is cancelled."""
        text = (UNREAD_SENTENCE * characters)[:characters].encode()
        message = pb.ModelInferRequest(model_name="text_to_speech_stream")
        message.inputs.add(name="text", datatype="BYTES", shape=[1, 1])
        message.raw_input_contents.append(len(text).to_bytes(4, "little") + text)
        call: Any = self.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        return call(iter([message.SerializeToString()]))

    def send(self, message: Message) -> bool:
        status, details = self._call(message)
        if "GOAWAY" in details:  # Triton closes each connection after 5 s, and gRPC does not always notice in time
            status, details = self._call(message)
        if status == "OK":
            return True
        is_refused = status == "UNAVAILABLE" and any(text in details for text in REFUSALS)
        if status in TYPED or is_refused or (status == "INTERNAL" and UNREADABLE in details):
            return False
        raise Odd(f"{status} {details[:150]}")

    def _call(self, message: Message) -> tuple[str, str]:
        """Return the status and its details."""
        call: Any = self.channel.unary_unary(f"/inference.GRPCInferenceService/{message.path or 'ModelInfer'}")
        try:
            call(message.data, timeout=SECONDS)
            return "OK", ""
        except grpc.RpcError as error:
            failure: Any = error
            return failure.code().name, failure.details() or ""


def build_question(audio: Array, rate: int, context: bytes = b"Ada.") -> bytes:
    message = pb.ModelInferRequest(model_name="convai_ensemble")
    message.outputs.add(name="answer")
    message.inputs.add(name="question_audio", datatype="FP32", shape=[1, len(audio)])
    message.inputs.add(name="sample_rate", datatype="INT32", shape=[1, 1])
    message.inputs.add(name="context", datatype="BYTES", shape=[1, 1])
    text = len(context).to_bytes(4, "little") + context
    message.raw_input_contents.extend([audio.astype(np.float32).tobytes(), np.int32(rate).tobytes(), text])
    return message.SerializeToString()


def inputs_of(model: str) -> tuple[Tensor, ...]:
    return next((step.inputs for step in STEPS if step.name == model), None) or wiring_of(model).inputs


def exchange(address: Address, data: bytes) -> bytes:
    """Send, close the sending half, and return all that comes until the other side closes."""
    received = b""
    with socket.create_connection(address, SECONDS) as connection, suppress(ConnectionError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            received += piece
    return received


@dataclass(frozen=True)
class HttpAttacks:
    address: Address

    def draw(self, rng: random.Random) -> Message:
        body = {name: rng.choice(STRANGE) for name in ("input", "response_format", "speed", "messages", "stream")}
        speech, text = rng.choice(("/v1/audio/speech", "/v1/chat/completions")), json.dumps(body).encode()
        path = rng.choice(("/v1/audio/transcriptions", "/v1/ask", "/v1/decode"))
        field = rng.choice((b"file", b"audio", b"context", b"\xff"))
        form = FORM_BODY % (field, rng.randbytes(rng.randint(0, 3000)))
        messages = (
            Message("random JSON", post(speech, text), False),
            Message("broken JSON", post(speech, truncate(rng, text))),
            Message("deep JSON", post(speech, b"[" * rng.choice((10, 1000, 1_000_000)))),
            Message("mutated", mutate(rng, post(speech, b'{"input": 1}')), False),
            Message("random file", post(path, form, FORM)),
            Message("broken form", post(path, mutate(rng, form), FORM)),
            Message("half a body", post(path, form, FORM, length=10 ** rng.randint(4, 20))),
            Message("paths", GET % (rng.choice(PATHS), b"127.0.0.1")),
            Message("foreign host", GET % (b"/page.json", b"evil.example")),
            Message(
                "foreign origin",
                post("/v1/audio/speech", b'{"input": "Hi."}', b"text/plain\r\nOrigin: http://evil.example"),
            ),
            Message("random bytes", rng.randbytes(rng.randint(1, 2000))),
        )
        return rng.choice(messages)

    def send(self, message: Message) -> bool:
        received = exchange(self.address, message.data)
        status = received[9:12].decode(errors="replace") if received.startswith(b"HTTP/") else ""
        if status.startswith("5") and status != "503":
            raise Odd(f"status {status} {received[-150:]!r}")
        return status.startswith("2")


def post(path: str, body: bytes, kind: bytes = b"application/json", length: int | None = None) -> bytes:
    return POST % (path.encode(), kind, len(body) if length is None else length) + body


@dataclass(frozen=True)
class WebSocketAttacks:
    address: Address

    def draw(self, rng: random.Random) -> Message:
        start = {"sample_rate": 16_000, "context": "Ada."}
        field = rng.choice(("sample_rate", "context", "pause_seconds", "key", "other"))
        large = json.dumps(start | {"context": "x" * 32_769})
        choices = (
            [json.dumps(start | {field: rng.choice(STRANGE)})],
            [large],
            [large[: rng.randrange(1, 99)]],
            [json.dumps(start), rng.randbytes(2 * rng.randint(0, 500) + 1)],
            [rng.randbytes(99)],
            [],
        )
        if rng.random() < 0.3:
            return Message("foreign origin", rng.choice(choices), path="https://evil.example")
        return Message("first messages", rng.choice(choices), False)

    def send(self, message: Message) -> bool:
        url = f"ws://{self.address[0]}:{self.address[1]}/v1/listen"
        options: Any = {"origin": message.path or None, "open_timeout": SECONDS, "close_timeout": 1}
        try:
            with websockets.sync.client.connect(url, **options) as connection:
                for data in (*message.data, '{"end": true}'):
                    connection.send(data)
                return json.loads(connection.recv(SECONDS))["type"] != "failed"
        except InvalidStatus as error:
            if error.response.status_code >= 500:
                raise Odd(f"status {error.response.status_code}") from error
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == 1011:
                raise Odd("close code 1011, an internal error") from error
        return False


@dataclass(frozen=True)
class WyomingAttacks:
    address: Address

    def draw(self, rng: random.Random) -> Message:
        names = ("rate", "width", "channels", "text", "voice", "name")
        fields = {name: rng.choice((16_000, *STRANGE)) for name in names}
        event: dict[str, Any] = {"type": rng.choice(EVENTS), "data": rng.choice((fields, fields, *STRANGE))}
        event |= rng.choice(({}, {"payload_length": rng.choice(SIZES)}, {"data_length": rng.choice(SIZES)}))
        line = json.dumps(event).encode() + b"\n"
        data = rng.choice((line, line + rng.randbytes(99), truncate(rng, line), mutate(rng, line), rng.randbytes(200)))
        return Message("random events", data, False)

    def send(self, message: Message) -> bool:
        return b"audio-start" in exchange(self.address, message.data)


Attacks = GrpcAttacks | HttpAttacks | WebSocketAttacks | WyomingAttacks
