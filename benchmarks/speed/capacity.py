"""How many servers so many people need, and what happens on the way there, simulated from the figures of docs/speed.md.

python -m convai.benchmarks.speed.capacity
python -m convai.benchmarks.speed.capacity --servers 100 --seconds 600
"""

import argparse
import sys
from math import ceil

import numpy as np

from convai.benchmarks.speed.fleet import Autoscaler, Course, Phase, Server, simulate
from convai.benchmarks.tables import as_table
from convai.pipeline.mistakes import CallerMistake
from convai.pipeline.program import run_program

# docs/speed.md: a server on two cores under overload, and its latency with one question in flight.
CORES = 2
MEASURED_ANSWERS, MEASURED_SECONDS = 300, 73
LATENCIES = {0.5: 1.2, 0.9: 2.1, 0.99: 2.5}  # in multiples of the floor's median, by quantile
GIGABYTES = 1.9  # of all processes of a server

ANSWERS_PER_SECOND = MEASURED_ANSWERS / MEASURED_SECONDS
SERVER = Server(slots=CORES, places=16)
BUSY = (0.5, 0.7, 0.8, 0.9, 0.95)  # shares of ANSWERS_PER_SECOND
PLANNED = 0.7
PEOPLE = (100, 1_000, 10_000, 100_000)
SECONDS_BETWEEN_QUESTIONS = 30  # of one person
FROM_SERVERS = 30  # before the rush
RUSHES = (1.5, 2, 4)
CALM_SECONDS, RUSH_SECONDS = 120.0, 600.0
WINDOW_SECONDS = 15.0
USUAL_SECONDS = 4.0  # p99 that is called recovered
HASTY = {"target_waiting": 2.0, "growth_seconds": 30.0}  # an autoscaler that does not wait to see what it did


def relative_quantiles() -> tuple[np.ndarray, np.ndarray]:
    """Shares of the questions, and how long they take, over the mean.

    Straight lines between the measured quantiles; below the median it goes as far as above it up to the ninth decile,
    and beyond the last nothing is known, so that the last one stands.
    """
    shares = np.array([0.0, 0.1, *LATENCIES, 1.0])
    median, most, last = LATENCIES.values()
    times = np.array([2 * median - most, 2 * median - most, median, most, last, last])
    mean = np.sum(np.diff(shares) * (times[1:] + times[:-1]) / 2)
    return shares, times / mean


def service_times(random: np.random.Generator, count: int) -> np.ndarray:
    """Seconds that a core takes for each question, shape = (count,); their mean is what the cores were measured at."""
    shares, times = relative_quantiles()
    return np.interp(random.random(count), shares, times) * CORES / ANSWERS_PER_SECOND


def steady(servers: int, busy: float, seconds: float, seed: int = 0) -> Course:
    """So many servers that are kept busy to a share of what they can answer."""
    return simulate([Phase(seconds, busy * servers * ANSWERS_PER_SECOND)], service_times, SERVER, servers, seed=seed)


def rush(times: float, servers: int, hasty: bool = False, seed: int = 0) -> Course:
    """Servers at the planned load are asked `times` as much for ten minutes; the autoscaler sees to it."""
    rate = PLANNED * servers * ANSWERS_PER_SECOND
    phases = [Phase(CALM_SECONDS, rate), Phase(RUSH_SECONDS, rate * times)]
    autoscaler = Autoscaler(servers, 10 * servers, **(HASTY if hasty else {}))
    return simulate(phases, service_times, SERVER, servers, autoscaler=autoscaler, seed=seed)


def steady_row(servers: int, busy: float, seconds: float) -> list[str]:
    course = steady(servers, busy, seconds)
    settled = course.asked_at >= seconds / 3
    latency = course.latency_seconds[settled]
    answered = latency[np.isfinite(latency)]
    waiting = busy * ANSWERS_PER_SECOND * (answered.mean() - CORES / ANSWERS_PER_SECOND)
    return [
        f"{100 * busy:.0f} %",
        f"{busy * servers * ANSWERS_PER_SECOND:,.0f}",
        *(f"{np.percentile(latency, percent, method='lower'):.2f}" for percent in (50, 99)),
        f"{waiting:.1f}",
        f"{100 * np.mean(course.attempts[settled] > 1):.2f} %",
        f"{100 * np.mean(np.isinf(latency)):.2f} %",
    ]


def rush_row(times: float, servers: int, hasty: bool = False) -> list[str]:
    course = rush(times, servers, hasty)
    end = CALM_SECONDS + RUSH_SECONDS
    windows = np.arange(CALM_SECONDS, end, WINDOW_SECONDS)
    slow = [begin for begin in windows if course.percentile(99, begin, begin + WINDOW_SECONDS) > USUAL_SECONDS]
    recovered = (max(slow) + WINDOW_SECONDS - CALM_SECONDS) if slow else 0.0
    rushed = course.asked_at >= CALM_SECONDS
    return [
        f"{times:g}, hasty" if hasty else f"{times:g}",
        f"{recovered:.0f}" if recovered < RUSH_SECONDS else "not within 600",
        f"{100 * np.mean(np.isinf(course.latency_seconds[rushed])):.1f} %",
        f"{max(count for _, count in course.servers)}",
        f"{ceil(times * servers)}",
    ]


def people_row(people: int) -> list[str]:
    servers = servers_for(people)
    return [f"{people:,}", f"{people / SECONDS_BETWEEN_QUESTIONS:,.0f}", f"{servers:,}", f"{servers * CORES:,}"] + [
        f"{servers * GIGABYTES:,.0f}"
    ]


def servers_for(people: int) -> int:
    """How many servers answer so many people, busy to the planned share, and one more to lose."""
    return ceil(people / SECONDS_BETWEEN_QUESTIONS / ANSWERS_PER_SECOND / PLANNED) + 1


def people_table() -> str:
    header = ["people", "questions per second", "servers", "cores", "memory [GB]"]
    return as_table([header, *map(people_row, PEOPLE)])


def run(args: argparse.Namespace) -> None:
    if args.servers < 1 or args.seconds <= 0:
        raise CallerMistake(f"got {args.servers} servers and {args.seconds:g} s; allowed are positive numbers")
    print(f"one server answers {ANSWERS_PER_SECOND:.1f} per second, {ANSWERS_PER_SECOND / CORES:.1f} per core\n")
    header = ["busy", "answers per second", "p50 [s]", "p99 [s]", "wait per server", "asked again", "refused"]
    print(people_table(), "\n", flush=True)
    print(as_table([header, *(steady_row(args.servers, busy, args.seconds) for busy in BUSY)]), "\n", flush=True)
    header = ["times the questions", f"s until p99 < {USUAL_SECONDS:g} s", "refused", "most servers", "servers planned"]
    print(
        as_table(
            [
                header,
                *(rush_row(times, FROM_SERVERS) for times in RUSHES),
                rush_row(RUSHES[0], FROM_SERVERS, hasty=True),
            ]
        )
    )


def main(argv: list[str] | None = None) -> int:
    return run_program(parser(), run, argv)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="capacity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=int, default=1000, help="under a steady load, default %(default)s")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each steady load, default %(default)g")
    return parser


if __name__ == "__main__":
    sys.exit(main())
