"""Deployment targets: how each step runs on a kind of machine (engine, threads, processes, queues, bucket sizes)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Any

from convai.description.pipeline import NETWORK_NAMES, NUM_FEATURES, VOICE_HOP_LENGTH
from convai.description.recognisers import ALL_STEPS
from convai.generator.settings import KINDS, Settings, thread_parameters

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Buckets:
    """Sizes that requests are padded to, so that requests of different length can share a batch.

    Attributes
    ----------
    frames : of a question, 10 ms each
    windows, tokens : of a context: the number of windows, and the tokens of each
    symbols : of a text to speak
    mel_frames : of an answer, 11.6 ms each, including the padding for the vocoder
    """

    frames: Sizes = (128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3008)  # 1.28 s to 30.08 s
    windows: Sizes = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
    tokens: Sizes = (64, 96, 128, 192, 256, 384)
    symbols: Sizes = (32, 64, 96, 128, 192, 256, 384, 600)
    mel_frames: Sizes = (64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)  # 0.7 s to 47.6 s

    def __post_init__(self):
        for name, sizes in ((one.name, getattr(self, one.name)) for one in fields(self)):
            if not sizes or sizes[0] < 1 or any(low >= high for low, high in pairwise(sizes)):
                raise ValueError(f"{name}: expected whole numbers from 1 in strictly ascending order, got {sizes}")

    def finer(self, *names: str) -> "Buckets":
        """Return these buckets with up to four times as many sizes of each kind in `names`."""
        return replace(self, **{name: _finer(getattr(self, name)) for name in names})

    def parameters_of(self, step: str) -> dict[str, Any]:
        """The parameters of a Python step that hold its bucket sizes."""
        by_step = {
            "speech_features": {"buckets": self.frames},
            "qa_tokenizer": {"window_buckets": self.windows, "token_buckets": self.tokens},
            "text_encoder": {"buckets": self.symbols},
            "mel_padder": {"buckets": self.mel_frames},
            "mel_splitter": {"buckets": self.mel_frames},
        }
        return by_step.get(step, {})


def _finer(sizes: Sizes) -> Sizes:
    between = [smaller + (larger - smaller) * part // 4 for smaller, larger in pairwise(sizes) for part in (1, 2, 3)]
    return tuple(sorted({*sizes, *between}))


@dataclass(frozen=True)
class Target:
    """A kind of machine, and how the steps run there.

    Attributes
    ----------
    kind : where Triton runs the networks; Python steps always run on the CPU
    steps : settings of every network, and of Python steps that differ from the defaults of `Settings`
    """

    name: str
    kind: str
    buckets: Buckets = Buckets()
    steps: Mapping[str, Settings] = field(default_factory=dict)

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"target {self.name}: kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        if unknown := self.steps.keys() - {step.name for step in ALL_STEPS}:
            raise ValueError(f"target {self.name}: steps: {', '.join(sorted(unknown))} are not steps of the pipeline")
        if missing := set(NETWORK_NAMES) - self.steps.keys():
            raise ValueError(f"target {self.name}: steps: no settings for {', '.join(sorted(missing))}")

    def settings_of(self, step: str) -> Settings:
        return self.steps.get(step, Settings())

    def with_one_process_each(self) -> "Target":
        return replace(self, steps={step: replace(settings, instances=1) for step, settings in self.steps.items()})


def _network(
    engine: str, threads: int, niceness: int = 0, limits: Mapping[str, Any] | None = None, **settings: Any
) -> Settings:
    parameters = {**(limits or {}), **thread_parameters(engine, threads)} | ({"niceness": niceness} if niceness else {})
    return Settings(engine, parameters=parameters, **settings)


UNBATCHED = {"max_elements_per_run": 1}  # the engine runs the requests of a batch one by one

# On a CPU padding costs time and batching saves almost none, so every number of windows is a bucket of its own and each
# request runs alone: in a batch it would wait for its neighbours while another process idles. The batcher stays, or
# Triton would not stop requests that were cancelled.
CPU_BUCKETS = replace(Buckets().finer("frames", "tokens", "mel_frames"), windows=tuple(range(1, 129)))

# Requests that may wait for the slow steps that follow; one more is refused. The last two limits are of written
# questions and texts to speak; few spoken questions meet them, because those queue before the recogniser. Written
# questions do not count at the first limit: they are short, and a flood of them would keep all speech out.
_FIRST_STEPS = {
    step: Settings(parameters={"waiting_for": networks, "max_waiting": limit})
    for step, networks, limit in (
        ("speech_features", ("jasper", "ctc_decoder", "tacotron2", "waveglow"), 24),
        ("qa_tokenizer", ("bert",), 64),
        ("text_encoder", ("tacotron2", "waveglow"), 48),
    )
}

# Later steps get higher priority, so under overload the queue forms at the recogniser, where one is refused at once; a
# request refused at WaveGlow would have wasted the work of every earlier step. Niceness 10 keeps Jasper
# below its fair share of processor time; at 5, latency under overload doubled.
# The slowest networks run in two processes, or a core idles while requests queue for one: 20 % more throughput with
# eight requests in flight; for Jasper 2 to 10 %.
# Two threads each, or a single request takes 33 % longer; while other steps need the cores, OpenVINO takes one.
_ON_CPU = {
    **_FIRST_STEPS,
    # No step before it could refuse a request, so its queue has a limit.
    "moonshine": Settings(
        instances=2,
        max_queue_size=16,
        parameters={"threads": 1, "niceness": 10},
    ),
    # As many phrases before Tacotron 2, and pieces before WaveGlow, as they have processes, so that a short text never
    # waits for a queue of long ones; see `backends/runtime/flow_control.py`. With one of each, eight streams got a
    # fifth less speech.
    "phrase_splitter": Settings(parameters={"max_in_flight": 2}),
    "mel_splitter": Settings(parameters={"max_in_flight": 2}),
}
_TACOTRON2 = _network("onnxruntime", 1, niceness=1, instances=2)


def _on_openvino(threads: int, niceness: int = 0, item_axes: int = 1, **settings: Any) -> Settings:
    """A network that runs in BF16 where the processor has it."""
    limits = {"HINT_BF16": "YES"} | UNBATCHED | ({"item_axes": item_axes} if item_axes > 1 else {})
    return _network("openvino", threads, niceness, limits, **settings)


CPU = Target(
    "cpu",
    "KIND_CPU",
    CPU_BUCKETS,
    steps={
        **_ON_CPU,
        "jasper": _on_openvino(2, niceness=10, instances=2),
        "bert": _on_openvino(2, niceness=2, item_axes=2, instances=2),  # its independent items are windows
        # In a batch the last bits of a mel differ from those computed alone, and WaveGlow in BF16 makes that audible.
        "tacotron2": replace(_TACOTRON2, parameters={**_TACOTRON2.parameters, **UNBATCHED}),
        "waveglow": _on_openvino(2, instances=2),
    },
)

# As `CPU`, but in FP32 on ONNX Runtime. It keeps memory for questions of 10 s, contexts of four windows and answers of
# 6 s.
CPU_ONNX = Target(
    "cpu-onnx",
    "KIND_CPU",
    CPU_BUCKETS,
    steps={
        **_ON_CPU,
        "jasper": _network("onnxruntime", 2, niceness=10, limits={"kept_elements": NUM_FEATURES * 1024}),
        "bert": _network(
            "onnxruntime",
            2,
            niceness=2,
            instances=2,
            # Attention takes about 30 MB per window, so a run takes at most 16 windows.
            limits={
                "kept_elements": 4 * CPU_BUCKETS.tokens[-1],
                "max_elements_per_run": 16 * CPU_BUCKETS.tokens[-1],
            },
        ),
        "tacotron2": _TACOTRON2,
        "waveglow": _network("onnxruntime", 2, instances=2, limits={"kept_elements": 512 * VOICE_HOP_LENGTH}),
    },
)

# 32 windows are a context of 4,300 word pieces with a stride of 128, and of 8,300 with 256. Memory grows with them:
# Triton's ONNX Runtime took 6 GB for 256 windows of BERT mini and kept it.
GPU_BUCKETS = replace(Buckets(), windows=tuple(size for size in Buckets().windows if size <= 32))

ENGINE_CACHE = "/var/cache/convai"  # of TensorRT inside ONNX Runtime; a volume, or each start builds the engines
# Without the parameter, Triton's ONNX Runtime lets cuDNN try all its algorithms in the first request of each shape.
_BY_HEURISTIC = {"cudnn_conv_algo_search": "1"}


def _on_gpu(**settings: Any) -> dict[str, Settings]:
    """Settings of all steps; those given are of `jasper`, `bert` and `waveglow`.

    Only Jasper batches requests. In a batch of eight, tensors of WaveGlow exceeded the 2^31 - 1 elements that TensorRT
    allows, BERT has its windows, and a row of Tacotron 2 became longer with LibTorch. Tacotron 2 runs on ONNX Runtime
    because its loop ends at the stop token, which a TensorRT plan cannot express.
    """
    network = Settings(**settings)
    alone = replace(network, max_batch_size=1)
    on_cuda = Settings("onnxruntime", accelerator="cuda", max_batch_size=1, parameters=_BY_HEURISTIC)
    return {
        # The first step has the longest batching delay; Jasper receives the requests of its batch close together.
        **_FIRST_STEPS,
        "speech_features": replace(
            _FIRST_STEPS["speech_features"], preferred_batch_size=None, max_queue_delay_microseconds=1000
        ),
        "jasper": replace(network, preferred_batch_size=None, max_queue_delay_microseconds=2000),
        "bert": alone,
        "tacotron2": on_cuda,
        "waveglow": alone,
    }


GPU = Target("gpu", "KIND_GPU", GPU_BUCKETS, steps=_on_gpu(engine="tensorrt"))

# As `GPU`, but the server builds the TensorRT engines from ONNX files: the files fit any GPU, the first start is slow.
GPU_ONNX = Target(
    "gpu-onnx",
    "KIND_GPU",
    GPU_BUCKETS,
    steps=_on_gpu(engine="onnxruntime", accelerator="tensorrt", parameters=_BY_HEURISTIC),
)

# Without TensorRT: nothing is built, so the server starts in seconds.
GPU_CUDA = Target(
    "gpu-cuda",
    "KIND_GPU",
    GPU_BUCKETS,
    steps=_on_gpu(engine="onnxruntime", accelerator="cuda", parameters=_BY_HEURISTIC),
)
