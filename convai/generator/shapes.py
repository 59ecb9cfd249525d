"""The shapes that each network must accept, derived from the bucket sizes of the target and from the weights."""

from bisect import bisect_left

from convai.description.pipeline import NUM_FEATURES, NUM_MELS, VOICE_HOP_LENGTH, VOICE_SAMPLE_RATE_HERTZ
from convai.generator.settings import ShapeRange
from convai.generator.targets import Buckets, Sizes

# TensorRT plans are optimised for a question of 5 s, one full window of context and an answer of 3 s.
USUAL_FRAMES = 500
USUAL_SYMBOLS = 48
USUAL_MEL_FRAMES = 3 * VOICE_SAMPLE_RATE_HERTZ // VOICE_HOP_LENGTH

ONE = ShapeRange((1,), (1,), (1,))

# Warm-up covers questions up to 10 s and answers up to 4 s, every fourth size: all sizes would take 7 s more processor
# time to save each process 10 to 40 ms once per remaining size.
WARM_FRAMES = 1024
WARM_MEL_FRAMES = 384
WARM_STRIDE = 4

ItemSizes = dict[str, list[list[int]]]  # by input: sizes without the batch axes


def network_shapes(buckets: Buckets, n_group: int, receptive_field_frames: int) -> dict[str, dict[str, ShapeRange]]:
    """The smallest, usual and largest dims by network and input.

    Parameters
    ----------
    n_group, receptive_field_frames : samples that WaveGlow generates at once, and its padding
    """
    smallest, largest = buckets.tokens[0], buckets.tokens[-1]
    windows = ShapeRange((1, smallest), (1, largest), (buckets.windows[-1], largest))
    mel_frames = _range(buckets.mel_frames, USUAL_MEL_FRAMES + receptive_field_frames)
    return {
        "jasper": {
            "features": ShapeRange(*((NUM_FEATURES, frames) for frames in _range(buckets.frames, USUAL_FRAMES))),
            "features_length": ONE,
        },
        "bert": dict.fromkeys(("input_ids", "token_type_ids", "attention_mask"), windows),
        "tacotron2": {
            "symbol_ids": ShapeRange(*((symbols,) for symbols in _range(buckets.symbols, USUAL_SYMBOLS))),
            "symbols_length": ONE,
        },
        "waveglow": {
            "padded_mel": ShapeRange(*((NUM_MELS, frames) for frames in mel_frames)),
            "z": ShapeRange(*((n_group, frames * VOICE_HOP_LENGTH // n_group) for frames in mel_frames)),
        },
    }


def warm_sizes(buckets: Buckets, n_group: int) -> dict[str, ItemSizes]:
    """The sizes to warm up by network and input."""
    frames = _warm(buckets.frames, WARM_FRAMES)
    mel_frames = _warm(buckets.mel_frames, WARM_MEL_FRAMES)
    tokens = [[size] for size in _warm(buckets.tokens, buckets.tokens[-1])]
    return {
        "jasper": {"features": [[NUM_FEATURES, size] for size in frames], "features_length": [[1]] * len(frames)},
        "bert": dict.fromkeys(("input_ids", "token_type_ids", "attention_mask"), tokens),
        "waveglow": {
            "padded_mel": [[NUM_MELS, size] for size in mel_frames],
            "z": [[n_group, size * VOICE_HOP_LENGTH // n_group] for size in mel_frames],
        },
    }


def _warm(sizes: Sizes, largest: int) -> list[int]:
    """Every fourth size up to `largest`, beginning with the largest, whose memory the others reuse."""
    return [size for size in sizes if size <= largest][::-WARM_STRIDE]


def _range(sizes: Sizes, usual: int) -> tuple[int, int, int]:
    """The smallest bucket, the one that holds `usual`, and the largest."""
    return sizes[0], sizes[min(bisect_left(sizes, usual), len(sizes) - 1)], sizes[-1]
