"""One Jasper in training: its weights, their moving average, the optimiser, and where in the recordings it is."""

import copy
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from convai.generator.pipeline import LABELS, NUM_FEATURES
from convai.networks.jasper.augment import AugmentConfig, augment
from convai.networks.jasper.config import CONFIGS
from convai.networks.jasper.data import Clip, batches_of_epoch
from convai.networks.jasper.model import Jasper
from convai.networks.jasper.optimizer import MuonAndAdamW
from convai.networks.jasper.recipe import Recipe

FRAMES_MULTIPLE = 32  # few distinct shapes: each new one costs the convolution library a set-up


class Training:
    """The state of a run; `step` can be called until the recipe's steps are done."""

    def __init__(self, recipe: Recipe, clips: list[Clip], augmentation: AugmentConfig):
        torch.manual_seed(recipe.seed)
        self.recipe, self.clips, self.augmentation = recipe, clips, augmentation
        self.network = Jasper(replace(CONFIGS[recipe.size], dropout=recipe.dropout)).train()
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = MuonAndAdamW(self.network, recipe.weight_decay)
        self.steps_done, self.epoch, self.batches_done = 0, 0, 0
        self._batches = self._batches_of_epoch()

    def step(self) -> float:
        """Take one optimiser step; the batch's loss, per letter."""
        batch = [self.clips[index] for index in self._next_batch()]
        rng = np.random.default_rng([self.recipe.seed, self.steps_done])
        torch.manual_seed(self.recipe.seed + self.steps_done)  # dropout
        features, features_length = pad([augment(clip.log_mel, self.augmentation, rng) for clip in batch])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.recipe.bfloat16):
            log_probs, log_probs_length = self.network(features, features_length)
        loss = ctc_loss(log_probs, log_probs_length, [clip.labels for clip in batch])
        self._update(loss)
        self.steps_done += 1
        return loss.item()

    def _update(self, loss: torch.Tensor) -> None:
        loss.backward()
        self.optimizer.step(self.recipe.rate(self.steps_done), self.recipe.largest_gradient)
        # A young average would remember the random start for too long.
        share = 1 - min(self.recipe.average_decay, (1 + self.steps_done) / (10 + self.steps_done))
        for average, current in zip(tensors(self.average), tensors(self.network), strict=True):
            average.lerp_(current.detach(), share)

    def _next_batch(self) -> np.ndarray:
        last = len(self._batches) if self.epoch else min(len(self._batches), self.recipe.first_epoch_steps)
        if self.batches_done >= last:
            self.epoch, self.batches_done = self.epoch + 1, 0
            self._batches = self._batches_of_epoch()
        self.batches_done += 1
        return self._batches[self.batches_done - 1]

    def _batches_of_epoch(self) -> list[np.ndarray]:
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, self.epoch])
        if self.epoch == 0:
            return batches_of_epoch(self.clips, recipe.first_batch_seconds, recipe.first_longest_seconds, rng)
        return batches_of_epoch(self.clips, recipe.batch_seconds, recipe.longest_seconds, rng)

    def save(self, file: Path) -> None:
        """Write everything that `resume` needs; an interruption leaves the old file whole."""
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "position": (self.steps_done, self.epoch, self.batches_done),
            "recipe": asdict(self.recipe),
        }
        unfinished = file.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.replace(file)

    def resume(self, file: Path) -> None:
        """Go on where a saved run stopped; with the same recordings and recipe it goes on exactly as it would have."""
        state = torch.load(file, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps_done, self.epoch, self.batches_done = state["position"]
        self._batches = self._batches_of_epoch()

    def start_from(self, weights: Path) -> None:
        """Start from exported weights instead of random ones, past the first epoch of short clips."""
        exported = {name: tensor.float() for name, tensor in load_file(weights).items()}
        for network in (self.network, self.average):
            network.load_state_dict(exported)
        self.epoch, self._batches = 1, []
        self._batches = self._batches_of_epoch()

    def export(self, file: Path) -> None:
        """Write the averaged weights as FP16 safetensors, which name their configuration."""
        weights = {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in self.average.state_dict().items()
        }
        save_file(weights, file, metadata={"config": self.recipe.size})


def tensors(network: Jasper) -> list[torch.Tensor]:
    """Weights and batch-norm statistics."""
    return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]


def pad(features: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Join clips of shape (64, frames) into one batch: features and features_length as Jasper takes them."""
    frames = np.array([clip.shape[1] for clip in features], np.int32)
    longest = -(-int(frames.max()) // FRAMES_MULTIPLE) * FRAMES_MULTIPLE
    batch = np.zeros((len(features), NUM_FEATURES, longest), np.float32)
    for row, clip in zip(batch, features, strict=True):
        row[:, : clip.shape[1]] = clip
    return torch.from_numpy(batch), torch.from_numpy(frames[:, None])


def ctc_loss(log_probs: torch.Tensor, log_probs_length: torch.Tensor, labels: list[list[int]]) -> torch.Tensor:
    """CTC loss per letter, averaged over the clips; clips too fast for their text count nothing."""
    return F.ctc_loss(
        log_probs.transpose(0, 1),
        torch.tensor([label for clip in labels for label in clip]),
        log_probs_length[:, 0].long(),
        torch.tensor([len(clip) for clip in labels]),
        blank=len(LABELS),
        zero_infinity=True,
    )
