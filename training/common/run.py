"""Runs a training: the options of its command line, its log, a checkpoint every minute, and measurements."""

import json
import math
import signal
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Generic

import numpy as np
import torch

from training.common.device import choose_workers
from training.common.training import Recipe, TrainedNetwork, Training

STATE_NAME = "state.pt"
LOG_NAME = "log.jsonl"
STEPS_PER_LOG_LINE = 25
SECONDS_BETWEEN_CHECKPOINTS = 60


@dataclass(frozen=True)
class Run(Generic[TrainedNetwork]):
    """What a training program starts.

    Attributes
    ----------
    network_name : of the file of weights
    config_name, metadata : written into the file of weights
    measure : returns a network's figures for the log
    """

    training: Training[TrainedNetwork]
    network_name: str
    config_name: str
    measure: Callable[[TrainedNetwork], dict[str, Any]]
    metadata: Mapping[str, str] = field(default_factory=dict)


def make_parser(module: str, doc: str | None) -> ArgumentParser:
    """A parser that shows the module's command and docstring."""
    return ArgumentParser(prog=f"python -m {module}", description=doc, formatter_class=RawDescriptionHelpFormatter)


def make_training_parser(module: str, doc: str | None, recipe: Recipe) -> ArgumentParser:
    """A parser with the options that all trainings share."""
    parser, schedule = make_parser(module, doc), recipe.schedule
    parser.add_argument("--out", type=Path, required=True, help="folder for log, state and weights")
    parser.add_argument("--steps", type=int, default=schedule.steps, help="steps in all, earlier runs included")
    parser.add_argument("--rate", type=float, default=schedule.peak_rate, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=schedule.seed, help="of data and order; change it with --init")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this time, ready to resume")
    parser.add_argument("--minutes-between-checks", type=float, default=6.0, help="between measurements")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda if there is a GPU, otherwise cpu")
    workers_help = "processes that prepare batches (default: 0 on a CPU; on a GPU one per further core, up to 8)"
    parser.add_argument("--workers", type=int, metavar="N", help=workers_help)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="continue from OUT/state.pt")
    start.add_argument("--init", type=Path, help="start from these weights, such as those in weights/")
    return parser


class Log:
    """Prints a line and appends it to a file, as JSON."""

    def __init__(self, file: Path):
        self.file, self.start = file, time.monotonic()

    def __call__(self, **fields: Any) -> None:
        line = json.dumps({"minutes": round((time.monotonic() - self.start) / 60, 2), **fields})
        print(line, flush=True)
        with open(self.file, "a", encoding="utf-8") as stream:
            print(line, file=stream)


def train(args: Namespace, start: Callable[[Namespace], Run[Any]]) -> None:
    """Train until the steps or the minutes are over, and write OUT/<network_name>.safetensors."""
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    args.out.mkdir(parents=True, exist_ok=True)
    run = start(args)
    training = run.training
    training.workers = choose_workers(training.device) if args.workers is None else args.workers
    if args.resume:
        training.resume(args.out / STATE_NAME)
    if args.init:
        training.start_from(args.init)
    log = Log(args.out / LOG_NAME)

    def save() -> None:
        training.save(args.out / STATE_NAME)
        training.export(args.out / f"{run.network_name}.safetensors", run.config_name, run.metadata)

    with catch_sigterm() as stop:
        for losses in train_in_spans(training, args.minutes, args.minutes_between_checks, log, stop, save):
            save()  # first: measuring may take long, and must not cost what was learnt
            if not stop.is_set():
                losses = losses | {"measured": run.measure(training.averaged())}
            log(step=training.steps_done, **losses)


@contextmanager
def catch_sigterm() -> Generator[Event]:
    """Set an event at SIGTERM: the run ends after the current step, with its state saved, ready to resume."""
    stop = Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def train_in_spans(
    training: Training[Any], minutes: float, minutes_between: float, log: Log, stop: Event, save: Callable[[], None]
) -> Iterator[dict[str, float]]:
    """Train, save every minute, and yield the mean losses whenever a check is due and at the end."""
    end, saved = time.monotonic() + 60 * minutes, time.monotonic()

    def is_over(moment: float) -> bool:
        return training.steps_done >= training.schedule.steps or time.monotonic() >= moment or stop.is_set()

    while not is_over(end):
        pause = min(end, time.monotonic() + 60 * minutes_between)
        history: list[dict[str, float]] = []
        while not is_over(pause):
            history.append(training.step())
            if training.steps_done % STEPS_PER_LOG_LINE == 0:
                log(step=training.steps_done, **average_losses(history[-STEPS_PER_LOG_LINE:]))
            if time.monotonic() >= saved + SECONDS_BETWEEN_CHECKPOINTS:
                save()
                saved = time.monotonic()
        yield average_losses(history)


def average_losses(history: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each loss over the steps that have it."""
    names = sorted({name for losses in history for name in losses})
    return {name: round(float(np.mean([losses[name] for losses in history if name in losses])), 4) for name in names}
