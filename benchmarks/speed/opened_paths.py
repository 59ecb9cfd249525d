"""Opens the paths that a benchmark compares, and closes them again."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from convai.benchmarks.speed.measured_server import MeasuredServer
from convai.benchmarks.speed.paths import AnswerPath, EnsemblePath, FloorPath, StepByStepPath
from convai.benchmarks.speed.rivals.opened import RIVALS, RivalSetup
from convai.client.client import ConvaiClient


@contextmanager
def opened_paths(
    names: Iterable[str],
    server: MeasuredServer,
    rivals: RivalSetup,
    timeout_seconds: float,
    beside: MeasuredServer | None = None,
) -> Iterator[dict[str, AnswerPath]]:
    """Each path by its name. `server` is what the ensemble and its steps are asked of, `beside` another one."""
    model_repository, profile = rivals.model_repository, rivals.profile
    with ExitStack() as stack:
        client = stack.enter_context(ConvaiClient(server.address, timeout_seconds=timeout_seconds))

        def open_path(name: str) -> AnswerPath:
            if name == "ensemble":
                return EnsemblePath(client, server.processes)
            if name == "step-by-step":
                return StepByStepPath(client, server.processes, model_repository, profile)
            if name == "floor":
                return stack.enter_context(closing(FloorPath(model_repository, profile)))
            if name == "beside":
                assert beside is not None  # or it would not be among the names
                other = stack.enter_context(ConvaiClient(beside.address, timeout_seconds=timeout_seconds))
                return EnsemblePath(other, beside.processes)
            return stack.enter_context(RIVALS[name](rivals))

        yield {name: open_path(name) for name in names}
