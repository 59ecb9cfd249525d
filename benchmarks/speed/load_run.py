"""Runs a benchmark: every path under every load, in turns, so that what else the machine does hits all alike."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from convai.benchmarks.speed.closed_loop import Load, run_load
from convai.benchmarks.speed.load_figures import LoadFigures, beside_the_floor, figures_of
from convai.benchmarks.speed.measured_server import MeasuredServer
from convai.benchmarks.speed.paths import OUTPUTS, EnsemblePath, FloorPath, Reply, StepByStepPath
from convai.benchmarks.speed.question_set import Question
from convai.benchmarks.speed.step_shares import StepShare, called_shares, served_shares
from convai.client.client import ConvaiClient
from convai.client.step_by_step import needed_calls
from convai.client.step_times import Counters, counters, requests_between, settled_counters

STEPS = tuple(call.step for call in needed_calls("convai_ensemble", OUTPUTS))
WARM_UP_QUESTIONS = 3

AnyPath = EnsemblePath | StepByStepPath | FloorPath


@dataclass(frozen=True)
class Bench:
    """What is measured with which questions; `texts` collects what was heard and answered, by question."""

    client: ConvaiClient
    server: MeasuredServer
    paths: dict[str, AnyPath]
    questions: Sequence[Question]
    texts: dict[int, set[tuple[str, str]]] = field(default_factory=dict)

    def run(self, loads: Sequence[Load], repeats: int) -> list[list[LoadFigures]]:
        """The figures of each round, which is one load on every path."""
        self.warm_up()
        rounds = [(load, self.turn(repeat)) for repeat in range(repeats) for load in loads]
        progress = tqdm(rounds, desc="measuring", unit="round", mininterval=2, disable=None)
        return [self.round(load, order) for load, order in progress]

    def warm_up(self) -> None:
        for path in self.paths.values():
            for question in self.questions[:WARM_UP_QUESTIONS]:
                path.ask(question)

    def turn(self, repeat: int) -> list[str]:
        """Each repeat begins with another path."""
        names = list(self.paths)
        first = repeat % len(names)
        return names[first:] + names[:first]

    def round(self, load: Load, order: Iterable[str]) -> list[LoadFigures]:
        return beside_the_floor([self.measure(path, load) for path in order])

    def measure(self, path: str, load: Load) -> LoadFigures:
        if path == "floor":
            load = replace(load, in_flight=1)
        before = counters(self.client)
        outcome = run_load(self.paths[path].ask, self.questions, load)
        served = () if path == "floor" else self.served(before, len(outcome.all_replies))
        for index, reply in outcome.counted:
            self.texts.setdefault(index, set()).add((reply.heard, reply.answer))
        return figures_of(path, load.in_flight, outcome, all_shares(served, outcome.all_replies), self.server.memory())

    def served(self, before: dict[str, Counters], requests: int) -> tuple[StepShare, ...]:
        """The steps that the server ran, once it has counted so many requests in each."""
        after = counters(self.client)
        steps = [step for step in STEPS if requests_between(before, after, step)]
        return served_shares(before, settled_counters(self.client, before, steps, requests), STEPS)


def all_shares(served: Iterable[StepShare], replies: Sequence[Reply]) -> tuple[StepShare, ...]:
    """In the order of the pipeline: what Triton tells about a step, else what the path measured itself."""
    shares = {share.step: share for share in (*called_shares(replies, STEPS), *served)}
    return tuple(shares[step] for step in STEPS if step in shares)


@contextmanager
def opened_paths(
    names: Iterable[str], client: ConvaiClient, model_repository: Path, profile: str
) -> Iterator[dict[str, AnyPath]]:
    open_path = {
        "ensemble": lambda: EnsemblePath(client),
        "step-by-step": lambda: StepByStepPath(client, model_repository, profile),
    }
    paths: dict[str, AnyPath] = {name: open_path[name]() for name in names if name in open_path}
    if "floor" not in names:
        yield paths
        return
    with closing(FloorPath(model_repository, profile)) as floor:
        yield paths | {"floor": floor}
