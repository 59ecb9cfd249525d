"""Recognition in one step: the pretrained Moonshine tiny network transcribes the question's audio.

The network is in the package moonshine-voice, whose own library is not used: it starts a thread per processor, and its
voice activity detector keeps a state, so that a result depends on earlier audio. ONNX Runtime runs the same files in a
third of the processor time.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from convai.arrays import Array
from convai.backends.steps.checks import check_range, check_text_size
from convai.backends.steps.question_audio import RecogniserStep, read_audio
from convai.backends.steps.transcripts import spoken_form
from convai.description.pipeline import SAMPLE_RATE_HERTZ
from convai.package_data import install_hint

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
START, END = 1, 2  # tokens
TOKENS_PER_SECOND = 6.5  # above the fastest speech; without a bound the decoder may repeat itself
CACHE = "past_key_values."
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # begins a word in SentencePiece's vocabularies


class MoonshineNetwork:
    """Transcribes one recording at a time; `threads` are those of ONNX Runtime."""

    def __init__(self, threads: int = 1):
        import onnxruntime  # here, because NVIDIA's container lacks it, and other recognisers do not need it

        encoder, decoder, tokenizer = find_files()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        # Threads sleep while they wait: the other steps run on the same cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.encoder, self.decoder = (
            onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            for file in (encoder, decoder)
        )
        caches = [one for one in self.decoder.get_inputs() if one.name.startswith(CACHE)]
        self.empty_cache = {one.name: np.zeros((1, one.shape[1], 0, one.shape[3]), np.float32) for one in caches}
        self.tokens = read_tokens(tokenizer.read_bytes())

    def __call__(self, audio: Array) -> str:
        """Transcribe audio, with capitals, digits and punctuation.

        Parameters
        ----------
        audio : float32, shape = (samples,), 16 kHz; at least 0.1 s
        """
        attention = np.ones((1, len(audio)), np.int64)
        (states,) = run(self.encoder, {"input_values": audio[None], "attention_mask": attention})
        encoded = {"encoder_hidden_states": states, "encoder_attention_mask": attention}
        max_tokens = math.ceil(TOKENS_PER_SECOND * len(audio) / SAMPLE_RATE_HERTZ) + 1
        return join_tokens(self.decode_greedy(encoded, max_tokens), self.tokens)

    def decode_greedy(self, encoded: dict[str, Array], max_tokens: int) -> list[int]:
        """Choose the likeliest token, one after the other, until END or `max_tokens`."""
        made: list[int] = []
        cache = self.empty_cache
        while len(made) < max_tokens:
            last = np.array([made[-1:] or [START]], np.int64)
            inputs = encoded | cache | {"input_ids": last, "use_cache_branch": np.array([bool(made)])}
            logits, *present = run(self.decoder, inputs)
            token = int(logits[0, -1].argmax())
            if token == END:
                break
            # Only the run of the first token returns the keys and values of the encoded audio.
            updated = zip(cache, present, strict=True)
            cache = cache | {name: array for name, array in updated if not made or ".decoder." in name}
            made.append(token)
        return made


def run(session: "InferenceSession", inputs: dict[str, Array]) -> list[Array]:
    """All outputs, in the order of the file; ONNX Runtime's own type also covers maps and lists."""
    return cast(list[Array], session.run(None, inputs))


def find_files() -> list[Path]:
    """Find the network's files in the installed package without importing it, which would load its own library."""
    spec = find_spec("moonshine_voice")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            f"the package moonshine-voice, which holds the network, is missing; {install_hint('moonshine')}"
        )
    folder = Path(spec.origin).parent / "assets" / "tiny-en"
    files = [folder / name for name in FILES]
    if missing := [file.name for file in files if not file.is_file()]:
        raise FileNotFoundError(f"the package moonshine-voice lacks {', '.join(missing)}; {install_hint('moonshine')}")
    return files


def read_tokens(content: bytes) -> list[bytes]:
    """Parse the vocabulary: each token follows its length, one byte or two with seven bits in the first."""
    tokens, place = [], 0
    while place < len(content):
        length, place = content[place], place + 1
        if length >= 128:
            length, place = length - 128 + 128 * content[place], place + 1
        tokens.append(content[place : place + length])
        place += length
    return tokens


def join_tokens(made: list[int], tokens: list[bytes]) -> str:
    """Join the bytes of tokens into a text with single spaces."""
    text = b"".join(tokens[token] for token in made).decode(errors="replace")
    return " ".join(text.replace(SPACE, " ").split())


@dataclass(frozen=True)
class Moonshine(RecogniserStep):
    """Audio at any sample rate -> the transcript of the question, in Jasper's alphabet."""

    threads: int = 1

    def __post_init__(self):
        check_range("threads", self.threads, 1, 256)
        _ = self.network  # fails at load if a file is missing

    @cached_property
    def network(self) -> MoonshineNetwork:
        return MoonshineNetwork(self.threads)

    def __call__(self, *, question_audio: Array, sample_rate: Array, context: str = "") -> dict[str, Array | str]:
        """Transcribe one question; the text is empty for silence.

        Parameters
        ----------
        question_audio : float32, shape = (samples,), mono PCM within [-1, 1]
        sample_rate : int32, shape = (1,), hertz
        context : text that the question is about; this network cannot use it

        Returns
        -------
        question, transcript : the same text
        words, word_times : none, because this network gives no word times
        """
        check_text_size("context", context)
        audio = read_audio(question_audio, sample_rate)
        question = "" if audio is None else spoken_form(self.network(audio))
        no_words, no_times = np.empty(0, np.object_), np.empty((0, 2), np.float32)
        return {"question": question, "transcript": question, "words": no_words, "word_times": no_times}
