"""Kinds of machine, and how each step runs there whatever its weights: engine, threads, processes, queues, buckets."""

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
    """Sizes that requests are padded to, so that some of different length can share a batch.

    Attributes
    ----------
    frames : of a question, 10 ms each
    windows, tokens : of a context; tokens are those of one window, and the windows of a context are equally long
    symbols : of a text to speak
    mel_frames : of an answer, 11.6 ms each, with the padding of the vocoder
    """

    frames: Sizes = (128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3008)  # 1.28 s to 30.08 s
    windows: Sizes = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
    tokens: Sizes = (64, 96, 128, 192, 256, 384)
    symbols: Sizes = (32, 64, 96, 128, 192, 256, 384, 600)
    mel_frames: Sizes = (64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)  # 0.7 s to 47.6 s

    def __post_init__(self):
        for name, sizes in ((one.name, getattr(self, one.name)) for one in fields(self)):
            if not sizes or sizes[0] < 1 or any(low >= high for low, high in pairwise(sizes)):
                raise ValueError(f"{name} must be whole numbers from 1 in strictly rising order, got {sizes}")

    def finer(self, *names: str) -> "Buckets":
        """Up to four times as many sizes of each kind named."""
        return replace(self, **{name: _finer(getattr(self, name)) for name in names})

    def parameters_of(self, step: str) -> dict[str, Any]:
        """The sizes that a Python step pads to, as its parameters."""
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
    """One kind of machine.

    Attributes
    ----------
    kind : where Triton puts the networks; Python steps always run on the processor
    steps : how each network runs, and those Python steps that do not run by the defaults of `Settings`
    """

    name: str
    kind: str
    buckets: Buckets = Buckets()
    steps: Mapping[str, Settings] = field(default_factory=dict)

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"machine {self.name}: kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if unknown := self.steps.keys() - {step.name for step in ALL_STEPS}:
            raise ValueError(f"machine {self.name}: steps must be of the pipeline, got {', '.join(sorted(unknown))}")
        if missing := set(NETWORK_NAMES) - self.steps.keys():
            raise ValueError(
                f"machine {self.name}: steps must hold every network, got none for {', '.join(sorted(missing))}"
            )

    def settings_of(self, step: str) -> Settings:
        return self.steps.get(step, Settings())

    def with_one_process_each(self) -> "Target":
        return replace(self, steps={step: replace(settings, instances=1) for step, settings in self.steps.items()})


def _network(
    engine: str, threads: int, niceness: int = 0, limits: Mapping[str, Any] | None = None, **settings: Any
) -> Settings:
    parameters = {**(limits or {}), **thread_parameters(engine, threads)} | ({"niceness": niceness} if niceness else {})
    return Settings(engine, parameters=parameters, **settings)


EACH_ALONE = {"max_elements_per_run": 1}  # requests of a batch run one after another

# On a CPU padding costs time, and joining requests saves next to none: no window is added to fill up a size, and none
# waits for company. Those that have to wait for a process are joined all the same.
CPU_BUCKETS = replace(Buckets().finer("frames", "tokens", "mel_frames"), windows=tuple(range(1, 129)))

# Where all steps share the processors, those nearer to the answer go first, or else an overload piles up before
# WaveGlow, and whoever is refused there has waited and worked for nothing. So it piles up before Jasper, where short
# queues refuse at once: the wait of those accepted stays bounded too. While both want the processors, Jasper must get
# less of them than its work is of BERT's, a third: at 5 it got half as much as BERT, and under an overload an answer
# took twice as long as at 10, when it gets a sixth.
# What takes longest runs twice, or a processor would idle while requests wait for one process: eight questions at once
# are answered a fifth faster. So does Jasper, which gives way to all others: eight are answered 2 to 10 % faster.
# Two threads each: one alone would answer a single question a third later, and eight at once no sooner.
_ON_CPU = {
    "speech_features": Settings(max_queue_size=16),
    # It hears one question after another, so that a batch would keep one process busy and the other idle.
    "moonshine": Settings(
        instances=2,
        preferred_batch_size=1,
        max_queue_size=16,
        parameters={"threads": 1, "niceness": 10},
    ),
}
_TACOTRON2 = _network("onnxruntime", 1, niceness=1)


def _on_openvino(threads: int, niceness: int = 0, item_axes: int = 1, **settings: Any) -> Settings:
    """A network in BF16."""
    limits = {"HINT_BF16": "YES"} | EACH_ALONE | ({"item_axes": item_axes} if item_axes > 1 else {})
    return _network("openvino", threads, niceness, limits, **settings)


CPU = Target(
    "cpu",
    "KIND_CPU",
    CPU_BUCKETS,
    steps={
        **_ON_CPU,
        "jasper": _on_openvino(2, niceness=10, max_queue_size=16, instances=2),
        "bert": _on_openvino(2, niceness=2, item_axes=2, instances=2),  # an item is a window
        # Rows of one run differ in their last bits from rows alone, which WaveGlow in BF16 makes audible.
        "tacotron2": replace(_TACOTRON2, parameters={**_TACOTRON2.parameters, **EACH_ALONE}),
        "waveglow": _on_openvino(2, instances=2),
    },
)

# As `CPU`, but in FP32 throughout, and without OpenVINO.
# Memory is kept for questions of 10 s, contexts of four windows and answers of 6 s.
CPU_ONNX = Target(
    "cpu-onnx",
    "KIND_CPU",
    CPU_BUCKETS,
    steps={
        **_ON_CPU,
        "jasper": _network(
            "onnxruntime", 2, niceness=10, max_queue_size=16, limits={"kept_elements": NUM_FEATURES * 1024}
        ),
        "bert": _network(
            "onnxruntime",
            2,
            niceness=2,
            instances=2,
            # Attention needs some 30 MB per window, so a run joins requests only up to 16 windows.
            limits={
                "kept_elements": 4 * CPU_BUCKETS.tokens[-1],
                "max_elements_per_run": 16 * CPU_BUCKETS.tokens[-1],
            },
        ),
        "tacotron2": _TACOTRON2,
        "waveglow": _network("onnxruntime", 2, instances=2, limits={"kept_elements": 512 * VOICE_HOP_LENGTH}),
    },
)

_ON_TENSORRT = Settings("tensorrt", max_queue_delay_microseconds=2000)
_ON_ONNXRUNTIME = replace(_ON_TENSORRT, engine="onnxruntime", accelerator="tensorrt")
# The first step waits longest for company; later ones receive what it made together, one after another.
# Tacotron 2's loop runs until the stop token, which a TensorRT plan cannot express.
_AROUND_PLANS = {
    "speech_features": Settings(max_queue_delay_microseconds=1000),
    "tacotron2": _network("pytorch", 1, max_queue_delay_microseconds=250),
}
_PLANNED = ("jasper", "bert", "waveglow")

GPU = Target("gpu", "KIND_GPU", steps=_AROUND_PLANS | dict.fromkeys(_PLANNED, _ON_TENSORRT))

# As `GPU`, but ONNX files that the server itself turns into TensorRT engines: tied to no GPU, slow to warm up.
GPU_ONNX = Target("gpu-onnx", "KIND_GPU", steps=_AROUND_PLANS | dict.fromkeys(_PLANNED, _ON_ONNXRUNTIME))
