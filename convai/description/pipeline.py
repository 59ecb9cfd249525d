"""The pipeline as data: every step, its tensors, and the ensembles that chain them.

This is the only place that defines tensor names, dtypes and dims; configurations, exports, steps and clients read it.
"""

from dataclasses import dataclass, field, replace

SAMPLE_RATE_HERTZ = 16_000  # of speech recognition
VOICE_SAMPLE_RATE_HERTZ = 22_050  # of speech synthesis
VOICE_HOP_LENGTH = 256  # samples of synthesised speech per mel frame
NUM_FEATURES = 64
NUM_MELS = 80
LABELS = " abcdefghijklmnopqrstuvwxyz'"  # Jasper's alphabet; the CTC blank follows as the last label
NUM_LABELS = len(LABELS) + 1
N_GROUP = "n_group"  # samples that WaveGlow generates at once; its weights determine how many
STREAM_TICKET = "stream_ticket"  # flow control: a later step returns it to the splitter that sent a chunk
CHUNK_INDEX = "chunk_index"  # position of a response in its stream
# `convai export` writes these files beside the steps that read them:
LOG_MEL_FILE = "jasper_log_mel.json"  # speech_features: how Jasper's training features differ from the default
SYMBOLS_FILE = "tacotron2_symbols.json"  # text_encoder: the symbols that Tacotron 2 reads
VOCODER_BIAS_FILE = "waveglow_bias.npy"  # audio_trimmer: the noise spectrum that the denoiser subtracts

# Names of the KServe v2 protocol. The pipeline uses BOOL, FP32, INT32, INT64 and BYTES; deployed models use the rest.
DTYPES = ("BOOL", "UINT8", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES")


@dataclass(frozen=True)
class Tensor:
    """One named tensor of a step.

    `dims` excludes the batch axis; -1 is an axis of variable length, and a name a size that the weight set determines.
    A caller may omit an `optional` input.
    """

    name: str
    dtype: str
    dims: tuple[int | str, ...]
    optional: bool = False

    def __post_init__(self):
        if self.dtype not in DTYPES:
            raise ValueError(f"tensor {self.name}: dtype: expected one of {', '.join(DTYPES)}, got {self.dtype!r}")
        if any(isinstance(size, int) and (size == 0 or size < -1) for size in self.dims):
            raise ValueError(f"tensor {self.name}: dims: expected positive sizes or -1, got {self.dims}")


@dataclass(frozen=True)
class Step:
    """One Triton model: a network, which runs on the engine that the profile selects, or a Python step."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    is_network: bool = False
    is_decoupled: bool = False  # it may send any number of responses to one request


@dataclass(frozen=True)
class Call:
    """One step of an ensemble: maps the step's tensors to tensors of the ensemble.

    A tensor that is not listed maps to the ensemble tensor of the same name; an optional input only if that exists.
    """

    step: str
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ensemble:
    """Steps chained into one Triton model; `inputs` and `outputs` are the tensors that a caller sees."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    calls: tuple[Call, ...]


# The text outputs of a stream, sent with its first chunk.
TEXT_OUTPUTS = (
    Tensor("question", "BYTES", (1,)),
    Tensor("answer", "BYTES", (1,)),
    Tensor("answer_score", "FP32", (1,)),
    Tensor("answer_span", "INT32", (2,)),
)

# The outputs of every recogniser.
TRANSCRIPT_OUTPUTS = (
    # The same text twice: Triton cannot return a subset of outputs if a later step consumes an exposed tensor.
    Tensor("question", "BYTES", (1,)),
    Tensor("transcript", "BYTES", (1,)),
    # Padded with empty words if a request has several rows; without a word if the recogniser times none.
    Tensor("words", "BYTES", (-1,)),
    Tensor("word_times", "FP32", (-1, 2)),  # start and end in seconds from the start of the audio
)

STEPS = (
    Step(
        "speech_features",
        inputs=(
            Tensor("question_audio", "FP32", (-1,)),
            Tensor("sample_rate", "INT32", (1,)),
            # Only to refuse a context that is too large before anything is computed.
            Tensor("context", "BYTES", (1,), optional=True),
        ),
        outputs=(Tensor("features", "FP32", (NUM_FEATURES, -1)), Tensor("features_length", "INT32", (1,))),
    ),
    Step(
        "jasper",
        inputs=(Tensor("features", "FP32", (NUM_FEATURES, -1)), Tensor("features_length", "INT32", (1,))),
        outputs=(Tensor("log_probs", "FP32", (-1, NUM_LABELS)), Tensor("log_probs_length", "INT32", (1,))),
        is_network=True,
    ),
    Step(
        "ctc_decoder",
        inputs=(
            Tensor("log_probs", "FP32", (-1, NUM_LABELS)),
            Tensor("log_probs_length", "INT32", (1,)),
            # Biases the search; optional because speech_to_text has no context. Triton does not batch requests with
            # and without an optional input together, which costs nothing here: the step decodes them one by one.
            Tensor("context", "BYTES", (1,), optional=True),
        ),
        outputs=TRANSCRIPT_OUTPUTS,
    ),
    Step(
        "qa_tokenizer",
        inputs=(Tensor("question", "BYTES", (1,)), Tensor("context", "BYTES", (1,))),
        outputs=(
            Tensor("input_ids", "INT64", (-1, -1)),
            Tensor("token_type_ids", "INT64", (-1, -1)),
            Tensor("attention_mask", "INT64", (-1, -1)),
            Tensor("token_spans", "INT32", (-1, -1, 2)),
        ),
    ),
    Step(
        "bert",
        inputs=(
            Tensor("input_ids", "INT64", (-1, -1)),
            Tensor("token_type_ids", "INT64", (-1, -1)),
            Tensor("attention_mask", "INT64", (-1, -1)),
        ),
        outputs=(Tensor("start_logits", "FP32", (-1, -1)), Tensor("end_logits", "FP32", (-1, -1))),
        is_network=True,
    ),
    Step(
        "answer_extractor",
        inputs=(
            Tensor("start_logits", "FP32", (-1, -1)),
            Tensor("end_logits", "FP32", (-1, -1)),
            Tensor("token_spans", "INT32", (-1, -1, 2)),
            Tensor("context", "BYTES", (1,)),
        ),
        outputs=(
            Tensor("answer", "BYTES", (1,)),
            Tensor("answer_score", "FP32", (1,)),
            Tensor("answer_span", "INT32", (2,)),
            Tensor("sentence", "BYTES", (1,)),
        ),
    ),
    Step(
        "phrase_splitter",
        # No step may combine a tensor that passed a decoupled step with one that did not, so the text outputs pass
        # through both splitters. They are optional: text_to_speech_stream has none.
        inputs=(
            Tensor("text", "BYTES", (1,)),
            *(replace(tensor, optional=True) for tensor in TEXT_OUTPUTS),
        ),
        outputs=(
            Tensor("phrase", "BYTES", (1,)),
            Tensor("pause_seconds", "FP32", (1,)),
            Tensor(STREAM_TICKET, "INT64", (3,)),
            Tensor("phrase_index", "INT32", (1,)),
            Tensor("is_last_phrase", "BOOL", (1,)),
            *TEXT_OUTPUTS,
        ),
        is_decoupled=True,
    ),
    Step(
        "text_encoder",
        inputs=(Tensor("text", "BYTES", (1,)),),
        outputs=(Tensor("symbol_ids", "INT64", (-1,)), Tensor("symbols_length", "INT32", (1,))),
    ),
    Step(
        "tacotron2",
        inputs=(Tensor("symbol_ids", "INT64", (-1,)), Tensor("symbols_length", "INT32", (1,))),
        outputs=(Tensor("decoded_mel", "FP32", (NUM_MELS, -1)), Tensor("mel_length", "INT32", (1,))),
        is_network=True,
    ),
    Step(
        "mel_padder",
        inputs=(Tensor("decoded_mel", "FP32", (NUM_MELS, -1)), Tensor("mel_length", "INT32", (1,))),
        outputs=(
            Tensor("mel", "FP32", (NUM_MELS, -1)),
            Tensor("padded_mel", "FP32", (NUM_MELS, -1)),
            Tensor("stretched_length", "INT32", (1,)),  # mel_length at the speed of the request
            Tensor("z", "FP32", (N_GROUP, -1)),
        ),
    ),
    Step(
        "mel_splitter",
        inputs=(
            Tensor("decoded_mel", "FP32", (NUM_MELS, -1)),
            Tensor("mel_length", "INT32", (1,)),
            Tensor("pause_seconds", "FP32", (1,)),
            Tensor(STREAM_TICKET, "INT64", (3,)),
            Tensor("phrase_index", "INT32", (1,)),
            Tensor("is_last_phrase", "BOOL", (1,)),
            *TEXT_OUTPUTS,
        ),
        outputs=(
            Tensor("padded_mel", "FP32", (NUM_MELS, -1)),
            Tensor("piece_length", "INT32", (1,)),
            Tensor("kept_frames", "INT32", (2,)),
            Tensor("fades", "BOOL", (2,)),
            Tensor("gain", "FP32", (1,)),
            Tensor("z", "FP32", (N_GROUP, -1)),
            Tensor("pause_seconds", "FP32", (1,)),
            Tensor(STREAM_TICKET, "INT64", (3,)),
            Tensor(CHUNK_INDEX, "INT32", (1,)),
            Tensor("is_last", "BOOL", (1,)),
            *TEXT_OUTPUTS,
        ),
        is_decoupled=True,
    ),
    Step(
        "waveglow",
        inputs=(Tensor("padded_mel", "FP32", (NUM_MELS, -1)), Tensor("z", "FP32", (N_GROUP, -1))),
        outputs=(Tensor("audio", "FP32", (-1,)),),
        is_network=True,
    ),
    Step(
        "audio_trimmer",
        inputs=(
            Tensor("audio", "FP32", (-1,)),
            Tensor("padded_mel", "FP32", (NUM_MELS, -1)),
            Tensor("mel_length", "INT32", (1,)),
            # Only in streams, where a mel is vocoded in pieces.
            Tensor("kept_frames", "INT32", (2,), optional=True),
            Tensor("fades", "BOOL", (2,), optional=True),
            Tensor("gain", "FP32", (1,), optional=True),
            Tensor("pause_seconds", "FP32", (1,), optional=True),
            Tensor(STREAM_TICKET, "INT64", (3,), optional=True),
        ),
        outputs=(Tensor("answer_audio", "FP32", (-1,)),),
    ),
)

TRANSCRIBE = (Call("speech_features"), Call("jasper"), Call("ctc_decoder"))
ANSWER = (Call("qa_tokenizer"), Call("bert"), Call("answer_extractor"))
ANSWER_TRANSCRIPT = (Call("qa_tokenizer", inputs={"question": "transcript"}), *ANSWER[1:])
SPEAK = (
    Call("text_encoder"),
    Call("tacotron2"),
    Call("mel_padder"),
    Call("waveglow"),
    Call("audio_trimmer", inputs={"mel_length": "stretched_length"}),
)
SPEAK_SENTENCE = (Call("text_encoder", inputs={"text": "sentence"}), *SPEAK[1:])

# In streams every text output has three names: its own at the caller, `phrase_*` between the splitters, and before them
# `found_*` (`heard_question` for the question).
FOUND = {name: f"found_{name}" for name in ("answer", "answer_score", "answer_span")}
PHRASE = {name: f"phrase_{name}" for name in ("pause_seconds", STREAM_TICKET, *(one.name for one in TEXT_OUTPUTS))}
TRANSCRIBE_FOR_STREAM = (*TRANSCRIBE[:-1], replace(TRANSCRIBE[-1], outputs={"question": "heard_question"}))
ANSWER_FOR_STREAM = (*ANSWER_TRANSCRIPT[:-1], replace(ANSWER[-1], outputs=FOUND))
SPLIT_TEXT = Call("phrase_splitter", outputs=PHRASE)
SPLIT_SENTENCE = replace(SPLIT_TEXT, inputs={"text": "sentence", "question": "transcript", **FOUND})
SPEAK_PHRASES = (
    Call("text_encoder", inputs={"text": "phrase"}),
    Call("tacotron2"),
    Call("mel_splitter", inputs=PHRASE),
    Call("waveglow"),
    Call("audio_trimmer", inputs={"mel_length": "piece_length"}),
)

ENSEMBLES = (
    Ensemble(
        "convai_ensemble",
        inputs=("question_audio", "sample_rate", "context"),
        outputs=("question", "answer", "answer_score", "answer_span", "answer_audio", "mel"),
        calls=TRANSCRIBE + ANSWER_TRANSCRIPT + SPEAK_SENTENCE,
    ),
    Ensemble(
        "speech_to_text",
        inputs=("question_audio", "sample_rate"),
        outputs=("question", "words", "word_times"),
        calls=TRANSCRIBE,
    ),
    Ensemble(
        "question_answering",
        inputs=("question", "context"),
        outputs=("answer", "answer_score", "answer_span", "sentence"),
        calls=ANSWER,
    ),
    Ensemble("text_to_speech", inputs=("text",), outputs=("answer_audio", "mel"), calls=SPEAK),
    Ensemble(
        "convai_ensemble_stream",
        inputs=("question_audio", "sample_rate", "context"),
        outputs=(CHUNK_INDEX, "is_last", "question", "answer", "answer_score", "answer_span", "answer_audio"),
        calls=(*TRANSCRIBE_FOR_STREAM, *ANSWER_FOR_STREAM, SPLIT_SENTENCE, *SPEAK_PHRASES),
    ),
    Ensemble(
        "text_to_speech_stream",
        inputs=("text",),
        outputs=(CHUNK_INDEX, "is_last", "answer_audio"),
        calls=(SPLIT_TEXT, *SPEAK_PHRASES),
    ),
)

NETWORK_NAMES = tuple(step.name for step in STEPS if step.is_network)
PYTHON_STEP_NAMES = tuple(step.name for step in STEPS if not step.is_network)
MODEL_NAMES = tuple(model.name for model in (*STEPS, *ENSEMBLES))
