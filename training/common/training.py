"""A network in training: the schedule of its learning rate, its averaged copy, its checkpoints."""

import copy
import math
from argparse import Namespace
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor, nn

from convai.networks.checkpoints.quantised import load, save
from training.common.device import CPU, MOST_WORKERS, choose_device, draw_ahead, move, supports_bfloat16

ADAM_BETAS = (0.9, 0.98)
DECAYS = {"cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2, "linear": lambda progress: 1 - progress}

TrainedNetwork = TypeVar("TrainedNetwork", bound=nn.Module)


@dataclass(frozen=True)
class Schedule:
    """The learning rate rises linearly, stays level, and falls to zero."""

    steps: int = 20_000  # in all, earlier runs included
    peak_rate: float = 1e-3
    warm_up_steps: int = 200
    decay_share: float = 0.25  # of all steps, during which the rate falls
    decay: str = "cosine"  # half of one, or "linear"
    weight_decay: float = 1e-6
    largest_gradient: float = 1.0
    average_decay: float = 0.999  # of the moving average of the weights, which is exported
    seed: int = 0

    def rate(self, step: int) -> float:
        warm_up = min(1.0, (step + 1) / self.warm_up_steps)
        decay_steps = max(1.0, self.steps * self.decay_share)
        progress = min(1.0, max(0.0, 1 - (self.steps - step) / decay_steps))
        return self.peak_rate * warm_up * DECAYS[self.decay](progress)


@dataclass(frozen=True)
class Recipe:
    """Every number that a network's weights depend on, besides its data. Each network has a subclass."""

    schedule: Schedule = Schedule()
    device: torch.device = CPU
    bfloat16: bool = True  # if the device multiplies it itself

    def with_options(self, args: Namespace) -> Self:
        """The recipe with the schedule and the device that the command line asks for."""
        schedule = replace(self.schedule, steps=args.steps, peak_rate=args.rate, seed=args.seed)
        return replace(self, schedule=schedule, device=choose_device(args.device))

    def autocast(self) -> torch.autocast:
        """The precision of the network's products: BF16 or FP32."""
        enabled = self.bfloat16 and supports_bfloat16(self.device)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)


class Training(Generic[TrainedNetwork]):
    """A network, its averaged copy and its optimiser.

    Everything random in a step follows from the seed and the step's number. So a resumed run continues exactly as the
    uninterrupted one would have.

    Attributes
    ----------
    workers : processes that draw batches; 0 draws them here
    """

    def __init__(
        self,
        network: TrainedNetwork,
        schedule: Schedule,
        draw_batch: Callable[[int], Any],
        compute_losses: Callable[[TrainedNetwork, Any, int], dict[str, Tensor]],
        optimizer: Any = None,
        first_steps: int = 0,
        int8: Collection[str] = (),
        most_workers: int = MOST_WORKERS,
    ):
        """
        Parameters
        ----------
        draw_batch : returns the tensors of a numbered step, on the CPU; may run in another process
        compute_losses : of a batch and a numbered step: the loss, as "loss", and the other losses to log
        optimizer : with the interface of `torch.optim.Optimizer`; default AdamW
        first_steps : that only a random network needs; a run that starts from weights skips them
        int8 : matrices to export as INT8 with a scale per row
        most_workers : that are useful; 1 if steps are drawn a block at a time
        """
        self.network, self.schedule = network.train(), schedule
        self.draw_batch, self.compute_losses = draw_batch, compute_losses
        self.device = next(network.parameters()).device
        self.workers, self.most_workers = 0, most_workers
        self._batches: Iterator[Any] = iter(())
        self._drawn_step = -1  # the next batch's
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.optimizer = optimizer or torch.optim.AdamW(
            network.parameters(), betas=ADAM_BETAS, weight_decay=schedule.weight_decay, fused=True
        )
        self.first_steps, self.steps_done, self.int8 = first_steps, 0, int8

    def step(self) -> dict[str, float]:
        """Take one step. Raises FloatingPointError, before the weights change, if the loss is not finite."""
        batch = self._take_batch()
        torch.manual_seed(self.schedule.seed * 1_000_003 + self.steps_done)
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.steps_done)
        self.optimizer.zero_grad()
        losses = self.compute_losses(self.network, batch, self.steps_done)
        if not torch.isfinite(losses["loss"]):
            raise FloatingPointError(f"the loss of step {self.steps_done} is {losses['loss'].item()}; lower the rate")
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.largest_gradient)
        self.optimizer.step()
        self._update_average()
        self.steps_done += 1
        return {name: loss.item() for name, loss in losses.items()}

    def _take_batch(self) -> Any:
        if self._drawn_step != self.steps_done:
            workers = min(self.workers, self.most_workers)
            self._batches = draw_ahead(self.draw_batch, count(self.steps_done), workers)
        self._drawn_step = self.steps_done + 1
        return move(next(self._batches), self.device)

    @torch.no_grad()
    def _update_average(self) -> None:
        # At first the average follows faster, or the random start would stay in it too long.
        decay = min(self.schedule.average_decay, (1 + self.steps_done) / (10 + self.steps_done))
        states = self.average.state_dict().values(), self.network.state_dict().values()
        for average, current in zip(*states, strict=True):
            average.lerp_(current, 1 - decay) if average.is_floating_point() else average.copy_(current)

    def averaged(self) -> TrainedNetwork:
        """The averaged network, ready for inference."""
        # Leaving training renews what a network derives from its weights, such as WaveGlow's inverses.
        return self.average.train().eval()

    def save(self, file: Path) -> None:
        """Write everything that `resume` needs; an interruption leaves the old file whole."""
        unfinished = file.with_suffix(".part")
        state = {name: getattr(self, name).state_dict() for name in ("network", "average", "optimizer")}
        torch.save({**state, "steps_done": self.steps_done}, unfinished)
        unfinished.replace(file)

    def resume(self, file: Path) -> None:
        state = torch.load(file, map_location=self.device, weights_only=True)
        for name in ("network", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.steps_done = state["steps_done"]

    def start_from(self, weights: Path) -> None:
        """Start from exported weights instead of random ones, with a new optimiser."""
        for network in (self.network, self.average):
            network.load_state_dict(load(weights))
        self.steps_done = self.first_steps

    def export(self, file: Path, config_name: str, metadata: Mapping[str, str] | None = None) -> None:
        """Write the averaged weights as FP16 or INT8, with the name of their configuration and other metadata."""
        unfinished = file.with_suffix(".part")
        metadata = {"config": config_name, **(metadata or {})}
        weights = {name: tensor.cpu() for name, tensor in self.average.state_dict().items()}
        save(unfinished, weights, int8=self.int8, metadata=metadata)
        unfinished.replace(file)
