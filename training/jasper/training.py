"""What Jasper is told about a batch of clips: the CTC loss of what it hears in them, changed at random."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convai.description.pipeline import LABELS, NUM_FEATURES
from convai.networks.jasper.config import CONFIGS
from convai.networks.jasper.model import Jasper
from training.common.batches import Batches
from training.common.training import Training
from training.jasper.augment import AugmentConfig, augment
from training.jasper.data import Clip
from training.jasper.optimizer import MuonAndAdamW
from training.jasper.recipe import Recipe

FRAMES_MULTIPLE = 32  # few distinct shapes: each new one costs the convolution library a set-up


def training_of(
    recipe: Recipe, clips: list[Clip], augmentation: AugmentConfig, noises: Sequence[Clip] = ()
) -> Training[Jasper]:
    """A run that begins with a random network; `noises` sound behind some clips."""
    schedule = recipe.schedule
    torch.manual_seed(schedule.seed)
    network = Jasper(replace(CONFIGS[recipe.size], dropout=recipe.dropout))
    frames = [clip.frames for clip in clips]
    noise = [clip.log_mel for clip in noises]
    batches = Batches(frames, recipe.limits, recipe.first_limits, recipe.first_steps, schedule.seed)

    def losses(network: Jasper, step: int) -> dict[str, Tensor]:
        batch = [clips[index] for index in batches.at(step)]
        talk = [clip.log_mel for clip in batch]
        rng = np.random.default_rng((schedule.seed, step))
        features, features_length = pad([augment(clip.log_mel, augmentation, rng, talk, noise) for clip in batch])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.bfloat16):
            log_probs, log_probs_length = network(features, features_length)
        return {"loss": ctc_loss(log_probs, log_probs_length, [clip.labels for clip in batch])}

    return Training(network, schedule, losses, MuonAndAdamW(network, schedule.weight_decay), recipe.first_steps)


def pad(features: list[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Join clips of shape (64, frames) into one batch: features and features_length as Jasper takes them."""
    frames = np.array([clip.shape[1] for clip in features], np.int32)
    longest = -(-int(frames.max()) // FRAMES_MULTIPLE) * FRAMES_MULTIPLE
    batch = np.zeros((len(features), NUM_FEATURES, longest), np.float32)
    for row, clip in zip(batch, features, strict=True):
        row[:, : clip.shape[1]] = clip
    return torch.from_numpy(batch), torch.from_numpy(frames[:, None])


def ctc_loss(log_probs: Tensor, log_probs_length: Tensor, labels: list[list[int]]) -> Tensor:
    """CTC loss per letter, averaged over the clips; clips too fast for their text count nothing."""
    return F.ctc_loss(
        log_probs.transpose(0, 1),
        torch.tensor([label for clip in labels for label in clip]),
        log_probs_length[:, 0].long(),
        torch.tensor([len(clip) for clip in labels]),
        blank=len(LABELS),
        zero_infinity=True,
    )
