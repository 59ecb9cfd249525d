"""How each step runs on a given kind of machine: engine, batching, threads, bucket sizes.

`cpu` becomes every model's config.pbtxt; any other profile becomes configs/<profile>.pbtxt beside it and is chosen
with `convai serve --profile <profile>`.
"""

from dataclasses import replace
from itertools import pairwise

from convai.generator.settings import Profile, Settings, ShapeRange
from convai.pipeline.description import NUM_FEATURES, NUM_MELS

FRAME_BUCKETS = (128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3008)  # of 10 ms: 1.28 s to 30.08 s
WINDOW_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
TOKEN_BUCKETS = (64, 96, 128, 192, 256, 384)
SYMBOL_BUCKETS = (32, 64, 96, 128, 192, 256, 384, 600)
MEL_BUCKETS = (128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)  # of 11.6 ms: 1.5 s to 47.6 s


def finer(buckets: tuple[int, ...]) -> tuple[int, ...]:
    """Up to four times as many buckets: on a CPU padding costs time, and joining requests saves next to none."""
    between = [smaller + (larger - smaller) * part // 4 for smaller, larger in pairwise(buckets) for part in (1, 2, 3)]
    return tuple(sorted({*buckets, *between}))


CPU_BUCKETS = {
    "speech_features": {"buckets": finer(FRAME_BUCKETS)},
    "qa_tokenizer": {"token_buckets": finer(TOKEN_BUCKETS), "window_buckets": finer(WINDOW_BUCKETS)},
    "mel_padder": {"buckets": finer(MEL_BUCKETS)},
}

# Where bucket sizes end up: (Python step, its parameter) -> (tensor, axis without the batch axis).
BUCKETED_AXES = {
    ("speech_features", "buckets"): ("features", 1),
    ("qa_tokenizer", "window_buckets"): ("input_ids", 0),
    ("qa_tokenizer", "token_buckets"): ("input_ids", 1),
    ("text_encoder", "buckets"): ("symbol_ids", 0),
    ("mel_padder", "buckets"): ("padded_mel", 1),
}

# Where all steps share the processors, those nearer to the answer go first, or else an overload piles up before
# WaveGlow, and whoever is refused there has waited and worked for nothing. So it piles up before Jasper, where short
# queues refuse at once: the wait of those accepted stays bounded too. A network with much lower priority
# than the rest would wait for a processor even while one idles, hence the small numbers.
NICENESS = {"jasper": 5, "bert": 2, "tacotron2": 1}
FIRST_QUEUES = {"speech_features": 16, "jasper": 16}
# What takes longest runs twice, or a processor would idle while requests wait for one process: eight questions at once
# are answered a fifth faster.
INSTANCES = {"ctc_decoder": 2, "bert": 2, "waveglow": 2}

# What NVIDIA puts behind its WaveGlow, at its strength; `convai export` of WaveGlow writes the bias.
DENOISER = {"post_filter": "denoiser", "denoiser_strength": 0.01, "bias_file": "waveglow_bias.npy"}


def _ranges(n_group: int) -> dict[str, dict[str, ShapeRange]]:
    """Shapes each network must take, per input; the usual ones are a 5 s question, one window and a 3 s answer."""
    tokens = ShapeRange((1, TOKEN_BUCKETS[0]), (1, 384), (WINDOW_BUCKETS[-1], 384))
    hop_length = 256
    return {
        "jasper": {
            "features": ShapeRange((NUM_FEATURES, 128), (NUM_FEATURES, 512), (NUM_FEATURES, 3008)),
            "features_length": ShapeRange((1,), (1,), (1,)),
        },
        "bert": {name: tokens for name in ("input_ids", "token_type_ids", "attention_mask")},
        "tacotron2": {
            "symbol_ids": ShapeRange((32,), (64,), (600,)),
            "symbols_length": ShapeRange((1,), (1,), (1,)),
        },
        "waveglow": {
            "padded_mel": ShapeRange((NUM_MELS, 128), (NUM_MELS, 384), (NUM_MELS, 4096)),
            "z": ShapeRange(*((n_group, frames * hop_length // n_group) for frames in (128, 384, 4096))),
        },
    }


def _python_steps(n_group: int, receptive_field_frames: int) -> dict[str, Settings]:
    return {
        # The first step waits longest for company; later ones receive what it made together.
        "speech_features": Settings(max_queue_delay_microseconds=1000, parameters={"buckets": FRAME_BUCKETS}),
        "ctc_decoder": Settings(),
        "qa_tokenizer": Settings(
            parameters={"window_buckets": WINDOW_BUCKETS, "token_buckets": TOKEN_BUCKETS},
        ),
        "answer_extractor": Settings(),
        "text_encoder": Settings(parameters={"buckets": SYMBOL_BUCKETS}),
        "mel_padder": Settings(
            parameters={
                "buckets": MEL_BUCKETS,
                "n_group": n_group,
                "receptive_field_frames": receptive_field_frames,
            },
        ),
        "audio_trimmer": Settings(),
    }


def _nvidia_python_steps() -> dict[str, Settings]:
    return _with_parameters(_python_steps(n_group=8, receptive_field_frames=100), {"audio_trimmer": DENOISER})


def _with_parameters(settings: dict[str, Settings], added: dict[str, dict[str, object]]) -> dict[str, Settings]:
    return {step: replace(one, parameters={**one.parameters, **added.get(step, {})}) for step, one in settings.items()}


def _onnxruntime(threads: int, shapes: dict[str, ShapeRange], **parameters: int) -> Settings:
    parameters |= {"intra_op_thread_count": threads, "inter_op_thread_count": 1}
    return Settings(engine="onnxruntime", parameters=parameters, shapes=shapes)


def _pytorch(threads: int, shapes: dict[str, ShapeRange]) -> Settings:
    parameters = {"INTRA_OP_THREAD_COUNT": threads, "INTER_OP_THREAD_COUNT": 1}
    return Settings(engine="pytorch", parameters=parameters, shapes=shapes)


def _cpu() -> Profile:
    """For the default weights: every parameter set here belongs to how they were trained or measured."""
    steps = _python_steps(n_group=64, receptive_field_frames=48)
    own_parameters = {
        # As while training; about the floor of a quiet room.
        "speech_features": {"noise_floor_decibels": -50.0},
        # Halves the word error rate for a quarter of the time of a lone request: weights/jasper.md.
        "ctc_decoder": {"decoder": "beam_search", "language_model_file": "english_trigrams.arpa.gz"},
        # Windows overlap by a third, not by two thirds as in BERT's recipe: on contexts of six paragraphs that takes
        # 43 % less time and costs no more than chance (F1 73.2 instead of 73.5, 150 questions of SQuAD dev).
        "qa_tokenizer": {"doc_stride": 256},
        # Calibrated as weights/bert.md tells: refuses 99 % of mismatched pairs, wrongly 1 %.
        "answer_extractor": {"score_scale": 0.265, "score_bias": -1.89, "no_answer_threshold": 0.13},
        # The default weights of Tacotron 2 read phonemes, and letters only of words that the dictionary lacks.
        "text_encoder": {"pronunciation": "arpabet", "pronunciations_file": "pronunciations.txt.gz"},
        "audio_trimmer": {"post_filter": "mel_consistent", "lowest_peak_dbfs": -3.0},
    }
    steps = _with_parameters(steps, own_parameters)
    steps = _on_cpu(steps | _cpu_networks(_ranges(n_group=64)))
    return Profile("cpu", steps | {step: replace(steps[step], instances=count) for step, count in INSTANCES.items()})


def _cpu_nvidia() -> Profile:
    """As `cpu`, for networks of NVIDIA's sizes: to try its checkpoints where there is no GPU. Slow."""
    return Profile("cpu-nvidia", _on_cpu(_nvidia_python_steps() | _cpu_networks(_ranges(n_group=8))))


def _on_cpu(settings: dict[str, Settings]) -> dict[str, Settings]:
    """Finer buckets; steps nearer to the answer go first, so that an overload is refused at the entrance."""
    niced = _with_parameters(settings, CPU_BUCKETS | {step: {"niceness": value} for step, value in NICENESS.items()})
    return niced | {step: replace(niced[step], max_queue_size=size) for step, size in FIRST_QUEUES.items()}


def _cpu_networks(ranges: dict[str, dict[str, ShapeRange]]) -> dict[str, Settings]:
    return {
        # Two threads each: one alone would answer a single question a third later, and eight at once no sooner.
        # Memory is kept for questions of 10 s, contexts of four windows and answers of 6 s.
        "jasper": _onnxruntime(2, ranges["jasper"], kept_elements=NUM_FEATURES * 1024),
        # Attention needs some 30 MB per window, so a run joins requests only up to 16 windows.
        "bert": _onnxruntime(
            2, ranges["bert"], kept_elements=4 * TOKEN_BUCKETS[-1], max_elements_per_run=16 * TOKEN_BUCKETS[-1]
        ),
        "tacotron2": _pytorch(1, ranges["tacotron2"]),
        "waveglow": _onnxruntime(2, ranges["waveglow"], kept_elements=256 * 512),
    }


def _gpu() -> Profile:
    ranges = _ranges(n_group=8)
    networks = {
        name: Settings(engine="tensorrt", kind="KIND_GPU", max_queue_delay_microseconds=2000, shapes=ranges[name])
        for name in ("jasper", "bert", "waveglow")
    }
    # Tacotron 2's loop runs until the stop token, which a TensorRT plan cannot express.
    networks["tacotron2"] = replace(_pytorch(1, ranges["tacotron2"]), kind="KIND_GPU")
    return Profile("gpu", _nvidia_python_steps() | networks)


def _gpu_onnx() -> Profile:
    """As `gpu`, but ONNX files that the server itself turns into TensorRT engines: tied to no GPU, slow to warm up."""
    gpu = _gpu()
    networks = {
        name: replace(settings, engine="onnxruntime", accelerator="tensorrt")
        for name, settings in gpu.settings.items()
        if settings.engine == "tensorrt"
    }
    return replace(gpu, name="gpu-onnx", settings=gpu.settings | networks)


PROFILES = {profile.name: profile for profile in (_cpu(), _cpu_nvidia(), _gpu(), _gpu_onnx())}
