"""Opens the paths that a benchmark compares, and closes them again."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.baselines.program import RIVALS
from benchmarks.speed.baselines.server_process import RivalSetup
from benchmarks.speed.measured_server import MeasuredServer
from benchmarks.speed.paths import AnswerPath, EnsemblePath, FloorPath, StepByStepPath
from convai.client.client import ConvaiClient


@dataclass(frozen=True)
class Opener:
    """
    Attributes
    ----------
    server, beside : where the ensemble and its steps are asked, and the other server if there is one
    rivals : what they serve
    timeout_seconds : of one call
    """

    server: MeasuredServer
    beside: MeasuredServer | None
    model_repository: Path
    profile: str
    rivals: RivalSetup
    timeout_seconds: float

    @contextmanager
    def opened(self, names: Iterable[str]) -> Iterator[dict[str, AnswerPath]]:
        with ExitStack() as stack:
            yield {name: self.open(name, stack) for name in names}

    def open(self, name: str, stack: ExitStack) -> AnswerPath:
        if name in RIVALS:
            from benchmarks.speed.baselines.opened import PATHS  # which takes packages of the extra `rivals`

            return stack.enter_context(PATHS[name](self.rivals))
        if name == "floor":
            return stack.enter_context(closing(FloorPath(self.model_repository, self.profile)))
        server = self.beside if name == "beside" else self.server
        assert server is not None  # or it would not be among the names
        client = stack.enter_context(ConvaiClient(server.address, timeout_seconds=self.timeout_seconds))
        if name == "step-by-step":
            return StepByStepPath(client, server.processes, self.model_repository, self.profile)
        return EnsemblePath(client, server.processes)
