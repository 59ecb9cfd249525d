"""Moonshine tiny: a pretrained encoder and decoder that write down English speech. Package: moonshine-voice.

The package's own library is left alone. It starts as many threads as there are processors, and what it hears depends
on what it heard before, since its detector of speech keeps a state. ONNX Runtime runs the same files in a third of the
processor time.
"""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from convai.arrays import Array
from convai.description.pipeline import SAMPLE_RATE_HERTZ

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
START, END = 1, 2  # tokens
TOKENS_PER_SECOND = 6.5  # nobody speaks faster; without a bound a confused decoder repeats itself
CACHE = "past_key_values."
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # begins a word in SentencePiece's vocabularies


class MoonshineNetwork:
    """Hears one recording at a time; its threads are those of ONNX Runtime."""

    def __init__(self, threads: int = 1):
        import onnxruntime  # here, since NVIDIA's container has none, nor a need of it for other recognisers

        encoder, decoder, tokenizer = moonshine_files()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        # Threads that wait for work must sleep: the other steps run on the same cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.encoder, self.decoder = (
            onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            for file in (encoder, decoder)
        )
        caches = [one for one in self.decoder.get_inputs() if one.name.startswith(CACHE)]
        self.empty_cache = {one.name: np.zeros((1, one.shape[1], 0, one.shape[3]), np.float32) for one in caches}
        self.tokens = read_tokens(tokenizer.read_bytes())

    def __call__(self, audio: Array) -> str:
        """Text of `audio`, float32, shape = (samples,), 16 kHz; at least 0.1 s. With capitals, digits and marks."""
        attention = np.ones((1, len(audio)), np.int64)
        (states,) = run(self.encoder, {"input_values": audio[None], "attention_mask": attention})
        heard = {"encoder_hidden_states": states, "encoder_attention_mask": attention}
        most_tokens = math.ceil(TOKENS_PER_SECOND * len(audio) / SAMPLE_RATE_HERTZ) + 1
        return text_of(self.decode(heard, most_tokens), self.tokens)

    def decode(self, heard: dict[str, Array], most_tokens: int) -> list[int]:
        """The likeliest token after each other, until the end or `most_tokens`."""
        made: list[int] = []
        cache = self.empty_cache
        while len(made) < most_tokens:
            last = np.array([made[-1:] or [START]], np.int64)
            inputs = heard | cache | {"input_ids": last, "use_cache_branch": np.array([bool(made)])}
            logits, *present = run(self.decoder, inputs)
            token = int(logits[0, -1].argmax())
            if token == END:
                break
            # Keys and values of what was heard are made with the first token alone.
            now = zip(cache, present, strict=True)
            cache = cache | {name: array for name, array in now if not made or ".decoder." in name}
            made.append(token)
        return made


def run(session: "InferenceSession", inputs: dict[str, Array]) -> list[Array]:
    """All outputs, in the order of the file; ONNX Runtime's own type allows for more than arrays."""
    return cast(list[Array], session.run(None, inputs))


def moonshine_files() -> list[Path]:
    """Files of the network within the installed package, which is not imported: that would open its own library."""
    spec = find_spec("moonshine_voice")
    if spec is None or spec.origin is None:
        raise FileNotFoundError(
            "there is no package moonshine-voice, which holds the network; install convai[moonshine]"
        )
    folder = Path(spec.origin).parent / "assets" / "tiny-en"
    files = [folder / name for name in FILES]
    if missing := [file.name for file in files if not file.is_file()]:
        raise FileNotFoundError(f"the package moonshine-voice lacks {', '.join(missing)}; install convai[moonshine]")
    return files


def read_tokens(content: bytes) -> list[bytes]:
    """The vocabulary: each token after its length in bytes, of which the first holds seven bits if it is one of two."""
    tokens, place = [], 0
    while place < len(content):
        length, place = content[place], place + 1
        if length >= 128:
            length, place = length - 128 + 128 * content[place], place + 1
        tokens.append(content[place : place + length])
        place += length
    return tokens


def text_of(made: list[int], tokens: list[bytes]) -> str:
    """The tokens' bytes together as text, words between single spaces."""
    text = b"".join(tokens[token] for token in made).decode(errors="replace")
    return " ".join(text.replace(SPACE, " ").split())
