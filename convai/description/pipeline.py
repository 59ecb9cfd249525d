"""The pipeline as data: every step, its tensors, and the ensembles that chain them.

Tensor names, dtypes and dims stand here and nowhere else; configs, exporters, steps and client read them.
"""

from dataclasses import dataclass, field, replace

SAMPLE_RATE_HERTZ = 16_000  # what the speech recognition hears
VOICE_SAMPLE_RATE_HERTZ = 22_050  # what the speech synthesis speaks
VOICE_HOP_LENGTH = 256  # samples of the voice per frame of its mel
NUM_FEATURES = 64
NUM_MELS = 80
LABELS = " abcdefghijklmnopqrstuvwxyz'"  # Jasper's alphabet; the CTC blank follows as the last label
NUM_LABELS = len(LABELS) + 1
STREAM_TICKET = "stream_ticket"  # whoever takes this tensor tells the step that made it when its row is done
CHUNK_INDEX = "chunk_index"  # place of a response among all that the caller of a stream gets
# Written by `convai export` beside the steps that read them:
LOG_MEL_FILE = "jasper_log_mel.json"  # of speech_features: how the features differ that Jasper was trained with
SYMBOLS_FILE = "tacotron2_symbols.json"  # of text_encoder: the symbols that Tacotron 2 reads
VOCODER_BIAS_FILE = "waveglow_bias.npy"  # of audio_trimmer: `convai export` measures it, the denoiser takes it off

# Names of the KServe v2 protocol. The pipeline itself needs FP32, INT32, INT64 and BYTES; deployed models the rest.
DTYPES = ("BOOL", "UINT8", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES")


@dataclass(frozen=True)
class Tensor:
    """One named tensor of a step. `dims` leave out the batch axis; -1 marks an axis of variable length.

    A caller may leave out an input that is `optional`.
    """

    name: str
    dtype: str
    dims: tuple[int, ...]
    optional: bool = False

    def __post_init__(self):
        if self.dtype not in DTYPES:
            raise ValueError(f"tensor {self.name}: dtype {self.dtype!r} is unknown; allowed are {', '.join(DTYPES)}")
        if any(size == 0 or size < -1 for size in self.dims):
            raise ValueError(f"tensor {self.name}: dims {self.dims} must be positive, or -1 for a variable length")


@dataclass(frozen=True)
class Step:
    """One Triton model. A network runs on an engine that its profile chooses; anything else is a Python step."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    is_network: bool = False
    is_decoupled: bool = False  # Triton's word for a model that answers one request with any number of responses


@dataclass(frozen=True)
class Call:
    """One step inside an ensemble: for each of the step's tensors, the ensemble tensor it is wired to.

    A tensor left out is wired to the ensemble tensor of its own name; an optional input only if there is one.
    """

    step: str
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ensemble:
    """Steps chained into one Triton model; `inputs` and `outputs` name the ensemble tensors a caller sees."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    calls: tuple[Call, ...]


# What the caller of a stream gets with the first chunk.
FOUND = (
    Tensor("question", "BYTES", (1,)),
    Tensor("answer", "BYTES", (1,)),
    Tensor("answer_score", "FP32", (1,)),
    Tensor("answer_span", "INT32", (2,)),
)

STEPS = (
    Step(
        "speech_features",
        inputs=(Tensor("question_audio", "FP32", (-1,)), Tensor("sample_rate", "INT32", (1,))),
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
            # Optional, because speech_to_text has none. Triton does not join requests with and without it into one
            # batch, which costs nothing in a step that treats them one by one.
            Tensor("context", "BYTES", (1,), optional=True),
        ),
        # Twice the same text: Triton cannot return a subset of outputs if an exposed tensor is also consumed.
        outputs=(Tensor("question", "BYTES", (1,)), Tensor("transcript", "BYTES", (1,))),
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
        # Triton joins nothing that went through a decoupled step with anything that did not, so whatever the caller
        # of a stream gets passes through here and through mel_splitter; a text to speak comes without a question.
        inputs=(
            Tensor("text", "BYTES", (1,)),
            *(replace(tensor, optional=True) for tensor in FOUND),
        ),
        outputs=(
            Tensor("phrase", "BYTES", (1,)),
            Tensor("pause_seconds", "FP32", (1,)),
            Tensor(STREAM_TICKET, "INT64", (2,)),
            Tensor("phrase_index", "INT32", (1,)),
            Tensor("is_last_phrase", "BOOL", (1,)),
            *FOUND,
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
            Tensor("z", "FP32", (-1, -1)),
        ),
    ),
    Step(
        "mel_splitter",
        inputs=(
            Tensor("decoded_mel", "FP32", (NUM_MELS, -1)),
            Tensor("mel_length", "INT32", (1,)),
            Tensor("pause_seconds", "FP32", (1,)),
            Tensor(STREAM_TICKET, "INT64", (2,)),
            Tensor("phrase_index", "INT32", (1,)),
            Tensor("is_last_phrase", "BOOL", (1,)),
            *FOUND,
        ),
        outputs=(
            Tensor("padded_mel", "FP32", (NUM_MELS, -1)),
            Tensor("piece_length", "INT32", (1,)),
            Tensor("kept_frames", "INT32", (2,)),
            Tensor("fades", "BOOL", (2,)),
            Tensor("gain", "FP32", (1,)),
            Tensor("z", "FP32", (-1, -1)),
            Tensor("pause_seconds", "FP32", (1,)),
            Tensor(STREAM_TICKET, "INT64", (2,)),
            Tensor(CHUNK_INDEX, "INT32", (1,)),
            Tensor("is_last", "BOOL", (1,)),
            *FOUND,
        ),
        is_decoupled=True,
    ),
    Step(
        "waveglow",
        inputs=(Tensor("padded_mel", "FP32", (NUM_MELS, -1)), Tensor("z", "FP32", (-1, -1))),
        outputs=(Tensor("audio", "FP32", (-1,)),),
        is_network=True,
    ),
    Step(
        "audio_trimmer",
        inputs=(
            Tensor("audio", "FP32", (-1,)),
            Tensor("padded_mel", "FP32", (NUM_MELS, -1)),
            Tensor("mel_length", "INT32", (1,)),
            # Of a piece that others precede and follow.
            Tensor("kept_frames", "INT32", (2,), optional=True),
            Tensor("fades", "BOOL", (2,), optional=True),
            Tensor("gain", "FP32", (1,), optional=True),
            Tensor("pause_seconds", "FP32", (1,), optional=True),
            Tensor(STREAM_TICKET, "INT64", (2,), optional=True),
        ),
        outputs=(Tensor("answer_audio", "FP32", (-1,)),),
    ),
)

TRANSCRIBE = (Call("speech_features"), Call("jasper"), Call("ctc_decoder"))
ANSWER = (Call("qa_tokenizer"), Call("bert"), Call("answer_extractor"))
ANSWER_THE_TRANSCRIPT = (Call("qa_tokenizer", inputs={"question": "transcript"}), *ANSWER[1:])
SPEAK = (Call("text_encoder"), Call("tacotron2"), Call("mel_padder"), Call("waveglow"), Call("audio_trimmer"))
SPEAK_THE_SENTENCE = (Call("text_encoder", inputs={"text": "sentence"}), *SPEAK[1:])

# The answer as it is found goes through both splitters, the second of which gives the caller's tensors their names.
TRANSCRIBE_TO_STREAM = (*TRANSCRIBE[:-1], replace(TRANSCRIBE[-1], outputs={"question": "heard_question"}))
AS_FOUND = {name: f"found_{name}" for name in ("answer", "answer_score", "answer_span")}
ANSWER_TO_STREAM = (*ANSWER_THE_TRANSCRIPT[:-1], replace(ANSWER[-1], outputs=AS_FOUND))
OF_PHRASES = {name: f"phrase_{name}" for name in ("pause_seconds", STREAM_TICKET, *(tensor.name for tensor in FOUND))}
SPLIT = Call("phrase_splitter", outputs=OF_PHRASES)
SPLIT_THE_SENTENCE = (replace(SPLIT, inputs={"text": "sentence", "question": "transcript", **AS_FOUND}),)
SPEAK_IN_PIECES = (
    Call("text_encoder", inputs={"text": "phrase"}),
    Call("tacotron2"),
    Call("mel_splitter", inputs=OF_PHRASES),
    Call("waveglow"),
    Call("audio_trimmer", inputs={"mel_length": "piece_length"}),
)

ENSEMBLES = (
    Ensemble(
        "convai_ensemble",
        inputs=("question_audio", "sample_rate", "context"),
        outputs=("question", "answer", "answer_score", "answer_span", "answer_audio", "mel"),
        calls=TRANSCRIBE + ANSWER_THE_TRANSCRIPT + SPEAK_THE_SENTENCE,
    ),
    Ensemble("speech_to_text", inputs=("question_audio", "sample_rate"), outputs=("question",), calls=TRANSCRIBE),
    Ensemble(
        "question_answering",
        inputs=("question", "context"),
        outputs=("answer", "answer_score", "answer_span"),
        calls=ANSWER,
    ),
    Ensemble("text_to_speech", inputs=("text",), outputs=("answer_audio", "mel"), calls=SPEAK),
    Ensemble(
        "convai_ensemble_stream",
        inputs=("question_audio", "sample_rate", "context"),
        outputs=(CHUNK_INDEX, "is_last", "question", "answer", "answer_score", "answer_span", "answer_audio"),
        calls=TRANSCRIBE_TO_STREAM + ANSWER_TO_STREAM + SPLIT_THE_SENTENCE + SPEAK_IN_PIECES,
    ),
    Ensemble(
        "text_to_speech_stream",
        inputs=("text",),
        outputs=(CHUNK_INDEX, "is_last", "answer_audio"),
        calls=(SPLIT, *SPEAK_IN_PIECES),
    ),
)

NETWORK_NAMES = tuple(step.name for step in STEPS if step.is_network)
PYTHON_STEP_NAMES = tuple(step.name for step in STEPS if not step.is_network)
MODEL_NAMES = tuple(model.name for model in (*STEPS, *ENSEMBLES))
