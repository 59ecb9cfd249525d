"""Sizes of WaveGlow, and its time scales: samples, groups of samples, mel frames."""

from dataclasses import dataclass

from convai.audio.voice_mel import HOP_LENGTH
from convai.description.pipeline import NUM_MELS
from convai.errors import InvalidArgument
from convai.networks.config_checks import check_fields

UPSAMPLE_KERNEL_SIZE = 1024  # samples that one mel frame influences in NVIDIA's upsampling
CONDITIONINGS = ("upsampled", "repeated")


@dataclass(frozen=True)
class WaveGlowConfig:
    """Sizes default to NVIDIA's network with 256 channels.

    Attributes
    ----------
    n_group : samples that form the channels of one time step
    n_early_every, n_early_size : after each `n_early_every` flows, `n_early_size` channels leave and join z
    n_layers, n_channels, kernel_size : of the network in each affine coupling
    conditioning : "upsampled" brings the mel to the audio's rate first, as NVIDIA does; "repeated" computes the
        conditions once per mel frame, which is far cheaper when a frame has few groups
    conditioning_kernel_size : mel frames that a coupling reads at once, for "repeated"
    sigma : standard deviation of the noise at inference; below 1, audio is less varied and less noisy
    """

    n_mel_channels: int = NUM_MELS
    n_flows: int = 12
    n_group: int = 8
    n_early_every: int = 4
    n_early_size: int = 2
    n_layers: int = 8
    n_channels: int = 256
    kernel_size: int = 3
    conditioning: str = "upsampled"
    conditioning_kernel_size: int = 1
    sigma: float = 0.9

    def __post_init__(self):
        # Couplings halve the channels.
        check_fields(self, odd=("kernel_size", "conditioning_kernel_size"), even=("n_group", "n_early_size"))
        if HOP_LENGTH % self.n_group:
            raise InvalidArgument(
                f"n_group: expected a divisor of the {HOP_LENGTH} samples of a frame, got {self.n_group}"
            )
        if self.flow_channels(self.n_flows - 1) < 2:
            raise InvalidArgument(
                f"n_early_size: {self.n_early_size} leaves no channels of n_group {self.n_group} for the last flow"
            )
        if self.sigma <= 0:
            raise InvalidArgument(f"sigma: expected above 0, got {self.sigma}")
        if self.conditioning not in CONDITIONINGS:
            raise InvalidArgument(f"conditioning: expected {' or '.join(CONDITIONINGS)}, got {self.conditioning!r}")
        if self.conditioning == "upsampled" and self.conditioning_kernel_size != 1:
            raise InvalidArgument(
                f"conditioning_kernel_size: expected 1 if upsampled, got {self.conditioning_kernel_size}"
            )

    def flow_channels(self, flow: int) -> int:
        """Return the channels that a flow transforms, without those that left early."""
        return self.n_group - flow // self.n_early_every * self.n_early_size

    def leaves_early(self, flow: int) -> bool:
        """Return whether channels leave before this flow, in the direction from audio to z."""
        return flow > 0 and flow % self.n_early_every == 0

    @property
    def groups_per_frame(self) -> int:
        return HOP_LENGTH // self.n_group

    @property
    def receptive_field_frames(self) -> int:
        """Mel frames on either side of a sample that influence it.

        With at least this much padding, the valid part of the audio is the same in any bucket.
        """
        groups = self.n_flows * (2**self.n_layers - 1) * (self.kernel_size // 2)
        frames_of_mel = self.conditioning_kernel_size // 2
        if self.conditioning == "upsampled":
            frames_of_mel = UPSAMPLE_KERNEL_SIZE // HOP_LENGTH - 1
        return -(-groups // self.groups_per_frame) + frames_of_mel


CONFIGS = {
    "mini": WaveGlowConfig(
        n_flows=6,
        n_group=64,
        n_early_every=2,
        n_early_size=8,
        n_layers=5,
        n_channels=128,
        conditioning="repeated",
        conditioning_kernel_size=3,
    ),
    "waveglow-256": WaveGlowConfig(),
    "waveglow-512": WaveGlowConfig(n_channels=512),
}
