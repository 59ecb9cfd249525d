"""Compare greedy decoding with beam search, and choose the weights of the search.

python -m benchmarks.tuning.decoding --manifest dev/manifest.jsonl --save dev.npz
python -m benchmarks.tuning.decoding --log-probs dev.npz --language-model-weight 0.4 0.6 --word-insertion-bonus 0

Every second recording chooses the weights, the others measure them. Recordings whose manifest has a context are decoded
with and without it. Times are those of one CPU thread.
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

from benchmarks.measurements import Measurement, format_measurements
from benchmarks.options import build_program_parser
from convai.backends.steps.ctc_decoder import CtcDecoder
from convai.errors import InvalidArgument, reading
from convai.package_data import packaged
from convai.program import run_program
from training.common.recordings import read_manifest

LANGUAGE_MODEL_FILE = packaged("model_repository", "ctc_decoder", "1", "english_trigrams.arpa.gz")
RESCORER_FILE = LANGUAGE_MODEL_FILE.with_name("english_rescorer.safetensors")
WEIGHTS_FILE = packaged("weights", "jasper.safetensors")
OPTIONS = {  # of CtcDecoder, each an option of this program, and their names in the tables
    "beam_width": "beam",
    "language_model_weight": "weight",
    "word_insertion_bonus": "bonus",
    "blank_penalty": "blank",
    "space_penalty": "space",
    "rescorer_weight": "rescorer",
}


@dataclass(frozen=True)
class Recognised:
    """Jasper's output for one recording.

    Attributes
    ----------
    log_probs : float16, shape = (frames, 29)
    text : the reference transcript
    group : the manifest's folder
    """

    log_probs: np.ndarray
    text: str
    group: str
    seconds: float
    context: str = ""


def build_parser() -> argparse.ArgumentParser:
    parser = build_program_parser("benchmarks.tuning.decoding", __doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--manifest", type=Path, nargs="+", help="recordings to run Jasper on")
    source.add_argument("--log-probs", type=Path, help="file that --save wrote")
    parser.add_argument("--weights", type=Path, default=WEIGHTS_FILE, help="of Jasper, default %(default)s")
    parser.add_argument("--limit", type=int, metavar="N", help="use only the first N recordings of each manifest")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the log-probabilities (.npz)")
    parser.add_argument("--language-model", type=Path, default=LANGUAGE_MODEL_FILE, help="ARPA file")
    parser.add_argument("--rescorer", type=Path, default=RESCORER_FILE, help="file of training.rescorer.train")
    for name in OPTIONS:
        default = getattr(CtcDecoder, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), nargs="+", default=[default])
    return parser


def run(args: argparse.Namespace) -> None:
    if args.log_probs:
        recognised = load_recognised(args.log_probs)
    else:
        recognised = [one for manifest in args.manifest for one in run_jasper(manifest, args.weights, args.limit)]
    if args.save:
        save_recognised(recognised, args.save)
    decoders = build_decoders(args)
    best, measurements = choose_decoder(decoders, recognised[::2])
    print(f"{format_measurements(measurements)}\n\nbest: {best}; on the other recordings:")
    others = recognised[1::2]
    measurements = [measure(name, decoders[name](), others) for name in dict.fromkeys(("greedy", best))]
    if any(one.context for one in others):
        without = [replace(one, context="") for one in others]
        measurements.append(measure(f"{best}, no context", decoders[best](), without))
    print(format_measurements(measurements))


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run_jasper(manifest: Path, weights_file: Path, limit: int | None) -> list[Recognised]:
    """Run the features of the `cpu` profile and Jasper over a manifest's recordings, on a GPU if there is one."""
    # Imported here, because saved log-probabilities need neither.
    import torch

    from convai.networks.checkpoints.weights import build, read_weights
    from convai.networks.registry import NETWORKS
    from training.common.device import choose_device
    from training.jasper.data import served_features

    device = choose_device()
    network = build(NETWORKS["jasper"], read_weights(NETWORKS["jasper"], weights_file), seed=0).to(device)
    recognised = []
    for recording in tqdm(read_manifest(manifest)[:limit], desc=manifest.parent.name, mininterval=5):
        with reading(recording.audio, "audio"):
            audio, sample_rate = soundfile.read(recording.audio, dtype="float32")
        features = served_features()(question_audio=audio, sample_rate=np.array([sample_rate], np.int32))
        with torch.inference_mode():
            log_probs, length = network(*(torch.from_numpy(features[name])[None].to(device) for name in features))
        log_probs = log_probs[0, : int(length)].cpu().numpy().astype(np.float16)
        seconds = len(audio) / sample_rate
        recognised.append(Recognised(log_probs, recording.text, manifest.parent.name, seconds, recording.context))
    return recognised


def save_recognised(recognised: Sequence[Recognised], file: Path) -> None:
    np.savez_compressed(
        file,
        log_probs=np.concatenate([one.log_probs for one in recognised]),
        frames=[len(one.log_probs) for one in recognised],
        texts=[one.text for one in recognised],
        groups=[one.group for one in recognised],
        seconds=[one.seconds for one in recognised],
        contexts=[one.context for one in recognised],
    )


def load_recognised(file: Path) -> list[Recognised]:
    with reading(file, "file of --save"):
        arrays = dict(np.load(file))
    log_probs = np.split(arrays["log_probs"], np.cumsum(arrays["frames"])[:-1])
    columns = (arrays[name].tolist() for name in ("texts", "groups", "seconds", "contexts"))
    return [Recognised(*one) for one in zip(log_probs, *columns, strict=True)]


def measure(name: str, decoder: Callable[..., dict[str, Any]], recognised: Sequence[Recognised]) -> Measurement:
    """Return the word error rate in percent, over all and by group, and milliseconds per second of audio."""
    start = time.process_time()
    transcripts = [decode(decoder, one) for one in recognised]
    milliseconds = 1000 * (time.process_time() - start) / sum(one.seconds for one in recognised)
    figures = {"WER": 100 * jiwer.wer([one.text for one in recognised], transcripts)}
    for group in dict.fromkeys(one.group for one in recognised):
        pairs = [(one.text, text) for one, text in zip(recognised, transcripts, strict=True) if one.group == group]
        figures[group] = 100 * jiwer.wer([text for text, _ in pairs], [transcript for _, transcript in pairs])
    return Measurement(name, len(recognised), figures | {"ms/s": milliseconds})


def decode(decoder: Callable[..., dict[str, Any]], one: Recognised) -> str:
    log_probs = one.log_probs.astype(np.float32)
    return decoder(log_probs=log_probs, log_probs_length=np.array([len(log_probs)]), context=one.context)["question"]


def build_decoders(args: argparse.Namespace) -> dict[str, Callable[[], CtcDecoder]]:
    """Return factories of greedy decoding and of every beam search of the grid; each search loads a language model."""
    decoders: dict[str, Callable[[], CtcDecoder]] = {"greedy": CtcDecoder}
    for values in product(*(getattr(args, option) for option in OPTIONS)):
        name = ", ".join(f"{short} {value:g}" for short, value in zip(OPTIONS.values(), values, strict=True))
        options = dict(zip(OPTIONS, values, strict=True))
        decoders[name] = partial(build_beam_search, args.language_model, args.rescorer, options)
    return decoders


def build_beam_search(language_model: Path, rescorer: Path, options: Mapping[str, Any]) -> CtcDecoder:
    files = {"language_model_file": str(language_model)}
    if options["rescorer_weight"]:
        files["rescorer_file"] = str(rescorer)
    try:
        return CtcDecoder(decoder="beam_search", **files, **options)
    except ValueError as error:  # a step's parameters come from the server's configuration, here from options
        raise InvalidArgument(str(error)) from error


def choose_decoder(
    decoders: Mapping[str, Callable[[], CtcDecoder]], recognised: Sequence[Recognised]
) -> tuple[str, list[Measurement]]:
    """Return the name of the decoder with the lowest word error rate, and the figures of all."""
    measurements = [measure(name, build(), recognised) for name, build in decoders.items()]
    return min(measurements, key=lambda one: one.figures["WER"]).name, measurements


if __name__ == "__main__":
    sys.exit(main())
