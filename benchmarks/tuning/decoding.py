"""Compare greedy decoding with beam search and choose its weights:

python -m benchmarks.tuning.decoding --manifest dev/manifest.jsonl --save dev.npz
python -m benchmarks.tuning.decoding --log-probs dev.npz --language-model-weight 0.4 0.6 --word-insertion-bonus 0

Every second recording chooses the weights, the others tell how well they do. Recordings whose manifest names the text
that the question is about are decoded with and without it. Times are of one CPU thread.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import soundfile
from tqdm import tqdm

from benchmarks.tables import Measurement, measurements_table
from convai.backends.steps.ctc_decoder import CtcDecoder
from convai.errors import InvalidArgument, reading
from convai.package_data import packaged
from convai.program import run_program
from training.common.recordings import read_manifest

LANGUAGE_MODEL_FILE = packaged("model_repository", "ctc_decoder", "1", "english_trigrams.arpa.gz")
RESCORER_FILE = LANGUAGE_MODEL_FILE.with_name("english_rescorer.safetensors")
WEIGHTS_FILE = packaged("weights", "jasper.safetensors")
OPTIONS = {  # of CtcDecoder, each an option here, and what the tables call them
    "beam_width": "beam",
    "language_model_weight": "weight",
    "word_insertion_bonus": "bonus",
    "blank_penalty": "blank",
    "space_penalty": "space",
    "rescorer_weight": "rescorer",
}


@dataclass(frozen=True)
class Heard:
    """What Jasper made of one recording.

    Attributes
    ----------
    log_probs : float16, shape = (frames, 29)
    text : what was said
    group : the manifest it comes from
    context : the text that a question is about, if any
    """

    log_probs: np.ndarray
    text: str
    group: str
    seconds: float
    context: str = ""


def hear(manifest: Path, weights_file: Path, limit: int | None) -> list[Heard]:
    """Run features, as the `cpu` profile has them, and network over a manifest's recordings."""
    # Imported here, because saved log-probabilities need neither.
    import torch

    from convai.networks.checkpoints.weights import build, read_weights
    from convai.networks.registry import NETWORKS
    from training.jasper.data import served_features

    network = build(NETWORKS["jasper"], read_weights(NETWORKS["jasper"], weights_file), seed=0)
    heard = []
    for recording in tqdm(read_manifest(manifest)[:limit], desc=manifest.parent.name, mininterval=5):
        with reading(recording.audio, "audio"):
            audio, sample_rate = soundfile.read(recording.audio, dtype="float32")
        features = served_features()(question_audio=audio, sample_rate=np.array([sample_rate], np.int32))
        with torch.inference_mode():
            log_probs, length = network(*(torch.from_numpy(features[name])[None] for name in features))
        log_probs = log_probs[0, : int(length)].numpy().astype(np.float16)
        seconds = len(audio) / sample_rate
        heard.append(Heard(log_probs, recording.text, manifest.parent.name, seconds, recording.context))
    return heard


def save(heard: Sequence[Heard], file: Path) -> None:
    np.savez_compressed(
        file,
        log_probs=np.concatenate([one.log_probs for one in heard]),
        frames=[len(one.log_probs) for one in heard],
        texts=[one.text for one in heard],
        groups=[one.group for one in heard],
        seconds=[one.seconds for one in heard],
        contexts=[one.context for one in heard],
    )


def load(file: Path) -> list[Heard]:
    with reading(file, "file of --save"):
        arrays = dict(np.load(file))
    log_probs = np.split(arrays["log_probs"], np.cumsum(arrays["frames"])[:-1])
    columns = (arrays[name].tolist() for name in ("texts", "groups", "seconds", "contexts"))
    return [Heard(*one) for one in zip(log_probs, *columns, strict=True)]


def measure(name: str, decoder: Callable[..., dict[str, str]], heard: Sequence[Heard]) -> Measurement:
    """Word error rate in percent, over all and by group, and the decoder's milliseconds per second of audio."""
    started = time.process_time()
    texts = [decode(decoder, one) for one in heard]
    milliseconds = 1000 * (time.process_time() - started) / sum(one.seconds for one in heard)
    figures = {"WER": 100 * jiwer.wer([one.text for one in heard], texts)}
    for group in dict.fromkeys(one.group for one in heard):
        pairs = [(one.text, text) for one, text in zip(heard, texts, strict=True) if one.group == group]
        figures[group] = 100 * jiwer.wer([said for said, _ in pairs], [text for _, text in pairs])
    return Measurement(name, len(heard), figures | {"ms/s": milliseconds})


def decode(decoder: Callable[..., dict[str, str]], heard: Heard) -> str:
    log_probs = heard.log_probs.astype(np.float32)
    return decoder(log_probs=log_probs, log_probs_length=np.array([len(log_probs)]), context=heard.context)["question"]


def decoders(args: argparse.Namespace) -> dict[str, Callable[[], CtcDecoder]]:
    """Greedy decoding and every beam search of the grid, made when called: each holds a language model."""
    grid = product(*(getattr(args, option) for option in OPTIONS))
    searches = {
        ", ".join(f"{short} {value:g}" for short, value in zip(OPTIONS.values(), values, strict=True)): partial(
            beam_search, args.language_model, args.rescorer, dict(zip(OPTIONS, values, strict=True))
        )
        for values in grid
    }
    return {"greedy": CtcDecoder, **searches}


def beam_search(language_model: Path, rescorer: Path, options: Mapping[str, Any]) -> CtcDecoder:
    files = {"language_model_file": str(language_model)}
    if options["rescorer_weight"]:
        files["rescorer_file"] = str(rescorer)
    try:
        return CtcDecoder(decoder="beam_search", **files, **options)
    except ValueError as error:  # the step checks what the server's configuration says; here these are options
        raise InvalidArgument(str(error)) from error


def choose(made: dict[str, Callable[[], CtcDecoder]], heard: Sequence[Heard]) -> tuple[str, list[Measurement]]:
    """The name of the decoder with the lowest word error rate, and the figures of all."""
    measurements = [measure(name, make(), heard) for name, make in made.items()]
    return min(measurements, key=lambda one: one.figures["WER"]).name, measurements


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tuning.decoding",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--manifest", type=Path, nargs="+", help="recordings to hear")
    source.add_argument("--log-probs", type=Path, help="what --save wrote")
    parser.add_argument("--weights", type=Path, default=WEIGHTS_FILE, help="of Jasper (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="hear the first so many recordings of each manifest (default: all)")
    parser.add_argument("--save", type=Path, help="keep the log-probabilities there (.npz)")
    parser.add_argument("--language-model", type=Path, default=LANGUAGE_MODEL_FILE, help="ARPA file")
    parser.add_argument("--rescorer", type=Path, default=RESCORER_FILE, help="what networks.rescorer.train wrote")
    for name in OPTIONS:
        default = getattr(CtcDecoder, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), nargs="+", default=[default])
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    if args.log_probs:
        heard = load(args.log_probs)
    else:
        heard = [one for manifest in args.manifest for one in hear(manifest, args.weights, args.limit)]
    if args.save:
        save(heard, args.save)
    made = decoders(args)
    best, measurements = choose(made, heard[::2])
    print(f"{measurements_table(measurements)}\n\nbest: {best}; on the other recordings:")
    others = heard[1::2]
    figures = [measure(name, made[name](), others) for name in dict.fromkeys(("greedy", best))]
    if any(one.context for one in others):
        figures.append(measure(f"{best}, no context", made[best](), [replace(one, context="") for one in others]))
    print(measurements_table(figures))


if __name__ == "__main__":
    sys.exit(main())
