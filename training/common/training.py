"""A network in training, whichever it is: the schedule of its rate, its averaged copy, its checkpoints."""

import copy
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from convai.errors import InvalidArgument
from convai.networks.checkpoints.quantised import load, save

ADAM_BETAS = (0.9, 0.98)
FALLS = {"cosine": lambda fallen: (1 + math.cos(math.pi * fallen)) / 2, "linear": lambda fallen: 1 - fallen}

TrainedNetwork = TypeVar("TrainedNetwork", bound=nn.Module)


class Optimizer(Protocol):
    """What a training asks of torch's optimisers, and of those made of several."""

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...
    def zero_grad(self) -> None: ...
    def step(self) -> Any: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class Schedule:
    """Of the learning rate: a linear rise, a level stretch that may be prolonged, a fall to zero."""

    steps: int = 20_000  # in all, earlier runs included
    peak_rate: float = 1e-3
    warm_up_steps: int = 200
    decay_share: float = 0.25  # of all steps, during which the rate falls
    fall: str = "cosine"  # half of one, or "linear"
    weight_decay: float = 1e-6
    largest_gradient: float = 1.0
    average_decay: float = 0.999  # of the moving average of weights, which is what gets exported
    seed: int = 0

    def __post_init__(self):
        for name in ("steps", "warm_up_steps"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.peak_rate <= 0 or self.largest_gradient <= 0:
            raise InvalidArgument(
                f"peak_rate and largest_gradient must be above 0, got {self.peak_rate}, {self.largest_gradient}"
            )
        if self.fall not in FALLS:
            raise ValueError(f"fall must be one of {', '.join(FALLS)}, got {self.fall!r}")
        if not 0 <= self.decay_share <= 1 or not 0 <= self.average_decay < 1:
            raise InvalidArgument(
                "decay_share must be from 0 to 1 and average_decay below 1, "
                f"got {self.decay_share}, {self.average_decay}"
            )

    def rate(self, step: int) -> float:
        rise = min(1.0, (step + 1) / self.warm_up_steps)
        decay_steps = max(1.0, self.steps * self.decay_share)
        fallen = min(1.0, max(0.0, 1 - (self.steps - step) / decay_steps))
        return self.peak_rate * rise * FALLS[self.fall](fallen)


class Training(Generic[TrainedNetwork]):
    """A network, its averaged copy and its optimiser.

    Everything random in a step follows from the seed and the step's number, so a resumed run goes on exactly as the
    uninterrupted one would have.
    """

    def __init__(
        self,
        network: TrainedNetwork,
        schedule: Schedule,
        losses: Callable[[TrainedNetwork, int], dict[str, Tensor]],
        optimizer: Optimizer | None = None,
        first_steps: int = 0,
        int8: Collection[str] = (),
    ):
        """
        Parameters
        ----------
        losses : from the network and the number of a step to its loss, as "loss", and what the log shows beside it
        optimizer : AdamW by default
        first_steps : that only a random network needs; a run that starts from weights skips them
        int8 : matrices to export as INT8 with a scale per row
        """
        self.network, self.schedule, self.losses = network.train(), schedule, losses
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.optimizer: Optimizer = optimizer or torch.optim.AdamW(
            network.parameters(), betas=ADAM_BETAS, weight_decay=schedule.weight_decay, fused=True
        )
        self.first_steps, self.steps_done, self.int8 = first_steps, 0, int8

    def step(self) -> dict[str, float]:
        """Take one step. Raises FloatingPointError, before the weights are touched, if the loss is not finite."""
        torch.manual_seed(self.schedule.seed * 1_000_003 + self.steps_done)
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.steps_done)
        self.optimizer.zero_grad()
        losses = self.losses(self.network, self.steps_done)
        if not torch.isfinite(losses["loss"]):
            raise FloatingPointError(f"the loss of step {self.steps_done} is {losses['loss'].item()}; lower the rate")
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.largest_gradient)
        self.optimizer.step()
        self._follow()
        self.steps_done += 1
        return {name: loss.item() for name, loss in losses.items()}

    @torch.no_grad()
    def _follow(self) -> None:
        # A young average would remember the random start for too long.
        decay = min(self.schedule.average_decay, (1 + self.steps_done) / (10 + self.steps_done))
        for average, current in zip(
            self.average.state_dict().values(), self.network.state_dict().values(), strict=True
        ):
            average.lerp_(current, 1 - decay) if average.is_floating_point() else average.copy_(current)

    def averaged(self) -> TrainedNetwork:
        """The averaged network, ready for inference."""
        # Leaving training renews what a network derives from its weights, such as WaveGlow's inverses.
        return self.average.train().eval()

    def save(self, file: Path) -> None:
        """Write everything that `resume` needs; an interruption leaves the old file whole."""
        unfinished = file.with_suffix(".part")
        torch.save(
            {
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "steps_done": self.steps_done,
                "schedule": asdict(self.schedule),
            },
            unfinished,
        )
        unfinished.replace(file)

    def resume(self, file: Path) -> None:
        state = torch.load(file, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps_done = state["steps_done"]

    def start_from(self, weights: Path) -> None:
        """Start from exported weights instead of random ones, the optimiser anew."""
        for network in (self.network, self.average):
            network.load_state_dict(load(weights))
        self.steps_done = self.first_steps

    def export(self, file: Path, config_name: str, metadata: Mapping[str, str] | None = None) -> None:
        """Write the averaged weights as FP16 or INT8, which name their configuration, and other metadata."""
        unfinished = file.with_suffix(".part")
        metadata = {"config": config_name, **(metadata or {})}
        save(unfinished, self.average.state_dict(), int8=self.int8, metadata=metadata)
        unfinished.replace(file)
