"""Runs a benchmark: every path under every load, in turns, so that what else the machine does hits all alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from tqdm import tqdm

from benchmarks.speed.closed_loop import Load, run_load
from benchmarks.speed.load_figures import LoadFigures, beside_the_floor, figures_of
from benchmarks.speed.paths import OUTPUTS, AnswerPath, Reply
from benchmarks.speed.question_set import Question
from benchmarks.speed.server_memory import memory_of, processor_seconds
from benchmarks.speed.step_shares import StepShare, called_shares, served_shares
from convai.client.client import ConvaiClient
from convai.client.steps import Counters, needed_calls, requests_between
from convai.description.recognisers import JASPER

STEPS = tuple(call.step for call in needed_calls("convai_ensemble", OUTPUTS, JASPER))


@dataclass(frozen=True)
class Bench:
    """What is measured with which questions.

    Attributes
    ----------
    alone : what the first path answers to each question when nothing else is asked; all others are held against it
    wrong : indices of the questions that some path answered otherwise under some load
    """

    paths: dict[str, AnswerPath]
    questions: Sequence[Question]
    alone: list[Reply] = field(default_factory=list)
    wrong: set[int] = field(default_factory=set)

    def run(self, loads: Sequence[Load], repeats: int) -> list[list[LoadFigures]]:
        """The figures of each round, which is one load on every path."""
        self.warm_up()
        rounds = [(load, self.turn(repeat)) for repeat in range(repeats) for load in loads]
        progress = tqdm(rounds, desc="measuring", unit="round", mininterval=2, disable=None)
        return [self.round(load, order) for load, order in progress]

    def warm_up(self) -> None:
        """Every path is asked every question once."""
        first, *others = self.paths.values()
        self.alone.extend(map(first.ask, self.questions))
        for path in others:
            for question in self.questions:
                path.ask(question)

    def turn(self, repeat: int) -> list[str]:
        """Each repeat begins with another path."""
        names = list(self.paths)
        first = repeat % len(names)
        return names[first:] + names[:first]

    def round(self, load: Load, order: Iterable[str]) -> list[LoadFigures]:
        return beside_the_floor([self.measure(path, load) for path in order])

    def measure(self, name: str, load: Load) -> LoadFigures:
        path = self.paths[name]
        if name == "floor":
            load = replace(load, in_flight=1)
        counted_before = path.statistics.read_counters() if path.statistics else {}
        spent_before = processor_seconds(path.processes())
        outcome = run_load(path.ask, self.questions, load)
        processes = path.processes()
        spent = processor_seconds(processes) - spent_before if processes else None
        served = self.served(path.statistics, counted_before, len(outcome.all_replies)) if path.statistics else ()
        wrong = [index for index, reply in outcome.counted if not reply.is_as(self.alone[index])]
        self.wrong.update(wrong)
        steps = all_shares(served, outcome.all_replies)
        return figures_of(name, load.in_flight, outcome, steps, memory_of(processes), spent, len(wrong))

    def served(self, client: ConvaiClient, before: dict[str, Counters], requests: int) -> tuple[StepShare, ...]:
        """The steps that the server ran, once it has counted so many requests in each."""
        after = client.read_counters()
        steps = [step for step in STEPS if requests_between(before, after, step)]
        return served_shares(before, client.wait_for_counters(before, steps, requests), STEPS)


def all_shares(served: Iterable[StepShare], replies: Sequence[Reply]) -> tuple[StepShare, ...]:
    """In the order of the pipeline: what Triton tells about a step, else what the path measured itself."""
    shares = {share.step: share for share in (*called_shares(replies, STEPS), *served)}
    return tuple(shares[step] for step in STEPS if step in shares)
