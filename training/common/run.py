"""Runs a training for some time: options of its command line, its log, and a check with a checkpoint now and then."""

import argparse
import json
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch

from training.common.training import Schedule, TrainedNetwork, Training

STATE_NAME = "state.pt"
LOG_NAME = "log.jsonl"
STEPS_PER_LOG_LINE = 25


def add_arguments(parser: argparse.ArgumentParser, schedule: Schedule) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder for log, state and weights")
    parser.add_argument("--steps", type=int, default=schedule.steps, help="steps in all, earlier runs included")
    parser.add_argument("--rate", type=float, default=schedule.peak_rate, help="highest learning rate")
    parser.add_argument(
        "--seed", type=int, default=schedule.seed, help="of what is drawn and in which order: another with --init"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop, ready to resume, after so long")
    parser.add_argument(
        "--minutes-between-checks", type=float, default=6.0, help="between measurements and checkpoints"
    )
    parser.add_argument("--threads", type=int, default=1)
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--resume", action="store_true", help="go on from OUT/state.pt")
    start.add_argument("--init", type=Path, help="start from these weights, such as those in weights/")


def chosen(schedule: Schedule, args: argparse.Namespace) -> Schedule:
    """A recipe's schedule with what the command line says of it."""
    return replace(schedule, steps=args.steps, peak_rate=args.rate, seed=args.seed)


def prepare(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    args.out.mkdir(parents=True, exist_ok=True)


class Log:
    """Prints a line and appends it to a file, as JSON."""

    def __init__(self, file: Path):
        self.file, self.start = file, time.monotonic()

    def __call__(self, **fields: Any) -> None:
        line = json.dumps({"minutes": round((time.monotonic() - self.start) / 60, 2), **fields})
        print(line, flush=True)
        with open(self.file, "a", encoding="utf-8") as stream:
            print(line, file=stream)


def run(
    training: Training[TrainedNetwork],
    args: argparse.Namespace,
    network_name: str,
    config_name: str,
    measure: Callable[[TrainedNetwork], dict[str, Any]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Train until the schedule's steps or the minutes are over, and write OUT/<network_name>.safetensors.

    Parameters
    ----------
    measure : a network's figures, for the log
    metadata : texts to keep beside the weights
    """
    if args.resume:
        training.resume(args.out / STATE_NAME)
    if args.init:
        training.start_from(args.init)
    log = Log(args.out / LOG_NAME)
    with asked_to_stop() as stop:
        for losses in spans(training, args.minutes, args.minutes_between_checks, log, stop):
            # Saved first: measuring may take long, and must not cost what was learnt.
            training.save(args.out / STATE_NAME)
            training.export(args.out / f"{network_name}.safetensors", config_name, metadata)
            if not stop.is_set():
                losses = losses | {"measured": measure(training.averaged())}
            log(step=training.steps_done, **losses)


@contextmanager
def asked_to_stop() -> Iterator[Event]:
    """Set by SIGTERM: the run ends after the step at hand, with its state saved, ready to resume."""
    stop = Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def spans(
    training: Training[Any], minutes: float, minutes_between: float, log: Log, stop: Event
) -> Iterator[dict[str, float]]:
    """Train on, and pause for a check every so often, and at the end."""
    end = time.monotonic() + 60 * minutes

    def is_over(moment: float) -> bool:
        return training.steps_done >= training.schedule.steps or time.monotonic() >= moment or stop.is_set()

    while not is_over(end):
        pause = min(end, time.monotonic() + 60 * minutes_between)
        history: list[dict[str, float]] = []
        while not is_over(pause):
            history.append(training.step())
            if training.steps_done % STEPS_PER_LOG_LINE == 0:
                log(step=training.steps_done, **mean(history[-STEPS_PER_LOG_LINE:]))
        yield mean(history)


def mean(history: list[dict[str, float]]) -> dict[str, float]:
    """The mean of every loss over the steps that have it."""
    names = sorted({name for losses in history for name in losses})
    return {name: round(float(np.mean([losses[name] for losses in history if name in losses])), 4) for name in names}
