"""Calculates the largest tensor that each network computes at the limits of a profile, and the memory of that run."""

from collections.abc import Callable, Mapping

from convai.description.pipeline import VOICE_HOP_LENGTH
from convai.errors import InvalidArgument
from convai.generator.profiles import Profile
from convai.generator.settings import Settings, Shape
from convai.generator.weight_sets import NetworkSizes

TENSORRT_MAX_ELEMENTS = 2**31 - 1  # of one tensor
BYTES_PER_ELEMENT = 4  # FP32
# What a run keeps at once, in multiples of its largest tensor. On a CPU, Triton's ONNX Runtime grew by 5.85 GB for 256
# windows of BERT mini, whose attention scores are 1.81 GB; WaveGlow with 256 channels takes 3.0 times.
TENSORS_AT_ONCE = 3.2


def count_jasper(features: Shape, sizes: NetworkSizes) -> int:
    """The features, or the output of the widest block, which runs at a fraction of their rate."""
    batch, num_features, frames = features
    return batch * max(num_features * frames, sizes["channels"] * -(-frames // sizes["stride"]))


def count_bert(input_ids: Shape, sizes: NetworkSizes) -> int:
    """The attention scores of all heads, or the output of the intermediate layer."""
    batch, windows, tokens = input_ids
    return batch * windows * tokens * max(sizes["heads"] * tokens, sizes["intermediate_size"])


def count_tacotron2(symbol_ids: Shape, sizes: NetworkSizes) -> int:
    """The postnet's channels, of the longest mel; a row of symbols is shorter."""
    return symbol_ids[0] * sizes["channels"] * sizes["frames"]


def count_waveglow(padded_mel: Shape, sizes: NetworkSizes) -> int:
    """The conditions of all layers of a flow, which one convolution computes: two values per channel.

    They exceed the upsampled mel in every size but toys.
    """
    batch, _, frames = padded_mel
    return batch * 2 * sizes["layers"] * sizes["channels"] * frames * VOICE_HOP_LENGTH // sizes["n_group"]


# By network: the input whose shape determines the count, and the function that counts.
COUNTS: Mapping[str, tuple[str, Callable[[Shape, NetworkSizes], int]]] = {
    "jasper": ("features", count_jasper),
    "bert": ("input_ids", count_bert),
    "tacotron2": ("symbol_ids", count_tacotron2),
    "waveglow": ("padded_mel", count_waveglow),
}


def count_elements(network: str, shape: Shape, sizes: NetworkSizes) -> int:
    """Count the elements of the largest tensor that a network computes from an input of this shape."""
    return COUNTS[network][1](shape, sizes)


def largest_tensors(profile: Profile) -> dict[str, int]:
    """Return the elements of the largest tensor at the limits of a profile, by network."""
    weights, networks = profile.weights, COUNTS.keys() & profile.weights.networks.keys() & profile.settings.keys()
    return {
        name: count_elements(name, _largest_shape(name, profile.settings[name]), weights.sizes_of(name))
        for name in sorted(networks)
    }


def _largest_shape(network: str, settings: Settings) -> Shape:
    return settings.shapes[COUNTS[network][0]].batches(settings.max_batch_size)[-1]


def check_largest_tensors(profile: Profile) -> None:
    """Raise InvalidArgument if a network that TensorRT runs computes a tensor that is too large for it."""
    for name, elements in largest_tensors(profile).items():
        settings = profile.settings[name]
        if elements > TENSORRT_MAX_ELEMENTS and "tensorrt" in (settings.engine, settings.accelerator):
            shape = "x".join(map(str, _largest_shape(name, settings)))
            raise InvalidArgument(
                f"profile {profile.name}: {name} computes a tensor of {elements:,} elements from {COUNTS[name][0]} of "
                f"{shape}; expected at most {TENSORRT_MAX_ELEMENTS:,}, the limit of TensorRT"
            )


def estimate_memory(profile: Profile) -> dict[str, float]:
    """Estimate the GB that the largest run of each network takes in FP32, besides its weights."""
    size = TENSORS_AT_ONCE * BYTES_PER_ELEMENT / 1e9
    return {name: elements * size for name, elements in largest_tensors(profile).items()}
