"""Ask a running server spoken questions about a text.

convai ask question.wav --context text.txt --out answer.wav --plot answer.png --trace timeline.png
convai ask questions/ --context text.txt --out answers/ --json
"""

import argparse
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tqdm import tqdm

from convai.client.answer import Answer
from convai.client.audio_files import check_can_be_written, find_questions, read_mono, write_mono
from convai.client.client import ConvaiClient
from convai.client.command_options import add_server_arguments, connected, read_text
from convai.client.errors import ServerUnreachable
from convai.client.report import Outcome, Times, as_json, as_text, failure_as_json
from convai.client.requests import Request, ask_request
from convai.client.step_by_step import StepByStep, needed_calls, recogniser_of
from convai.client.step_times import timed_answer
from convai.errors import InvalidArgument

TEXT_OUTPUTS = ("question", "answer", "answer_score", "answer_span")


@dataclass(frozen=True)
class AskJob:
    """A file to ask, and where its answer goes; None for an answer that is not kept."""

    file: Path
    answer_file: Path | None
    plot_file: Path | None
    trace_file: Path | None

    @property
    def written(self) -> tuple[Path, ...]:
        return tuple(filter(None, (self.answer_file, self.plot_file, self.trace_file)))

    @property
    def outputs(self) -> tuple[str, ...]:
        """What to request: nothing is spoken unless someone wants to hear, see or time it."""
        return TEXT_OUTPUTS + (("answer_audio",) if self.written else ()) + (("mel",) if self.plot_file else ())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("questions", nargs="+", type=Path, help="audio files, or folders of them (WAV, FLAC, Ogg, MP3)")
    parser.add_argument("--context", required=True, help="UTF-8 text file to answer from, up to 32 KiB; - is stdin")
    parser.add_argument("--out", type=Path, help="where to write the spoken answer; a folder for several questions")
    parser.add_argument("--plot", type=Path, help="where to draw question and answer; a folder for several questions")
    parser.add_argument(
        "--trace", type=Path, help="where to draw the time of each step; a folder for several questions"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per question")
    times = parser.add_mutually_exclusive_group()
    times.add_argument("--steps", action="store_true", help="show the time of each step inside the server")
    times.add_argument("--step-by-step", action="store_true", help="call and time each step from here, for debugging")
    parser.add_argument("--seed", type=int, help="another seed gives another take of the spoken answer")
    add_server_arguments(parser, "question")


def run(args: argparse.Namespace) -> int:
    if args.trace and args.step_by_step:
        raise InvalidArgument(
            "--trace draws times inside the server, of which --step-by-step knows none; leave one out"
        )
    if args.plot or args.trace:
        import_module("matplotlib")  # if that is missing, it is told before anything is asked
    jobs = plan(args.questions, args.out, args.plot, args.trace)
    context = read_text("--context", args.context, "to answer from")
    with connected(args) as client:
        progress = tqdm(jobs, unit="question", disable=True if len(jobs) == 1 else None)
        succeeded = [try_job(client, job, context, args) for job in progress]
    return 0 if all(succeeded) else 1


def plan(paths: list[Path], out: Path | None, plot: Path | None, trace: Path | None) -> list[AskJob]:
    """Find the questions and name the files to write before anything is asked."""
    questions = find_questions(paths)
    into_folders = len(paths) > 1 or paths[0].is_dir()
    jobs = [
        AskJob(
            file,
            target(out, file, ".wav", into_folders),
            target(plot, file, ".png", into_folders),
            target(trace, file, "-trace.png", into_folders),
        )
        for file in questions
    ]
    check_targets(jobs)
    return jobs


def target(path: Path | None, question: Path, ending: str, into_folder: bool) -> Path | None:
    if path is None:
        return None
    return path / f"{question.stem}{ending}" if into_folder or path.is_dir() else path


def check_targets(jobs: list[AskJob]) -> None:
    """Nothing that is written may overwrite a question or anything else that is written."""
    taken = {job.file.resolve() for job in jobs}
    for job in jobs:
        if job.answer_file:
            check_can_be_written(job.answer_file)
        for path in job.written:
            if path.resolve() in taken:
                raise InvalidArgument(
                    f"the answer to {job.file} would overwrite {path}; give --out, --plot or --trace another place"
                )
            taken.add(path.resolve())


def try_job(client: ConvaiClient, job: AskJob, context: str, args: argparse.Namespace) -> bool:
    """Answer one question; report a failure and let the others go on, unless there is no server to ask."""
    try:
        outcome = answer_job(client, job, context, args)
    except ServerUnreachable:
        raise
    except (InvalidArgument, OSError) as error:
        tqdm.write(f"convai ask: {job.file}: {error}", file=sys.stderr)
        if args.json:
            tqdm.write(failure_as_json(job.file, error), file=sys.stdout)
        return False
    tqdm.write(as_json(outcome) if args.json else as_text(outcome), file=sys.stdout)
    return True


def answer_job(client: ConvaiClient, job: AskJob, context: str, args: argparse.Namespace) -> Outcome:
    audio, sample_rate = read_mono(job.file)
    answer, times = send(client, ask_request(audio, sample_rate, context, job.outputs, args.seed), job, args)
    if job.answer_file and answer.answer_audio is not None:
        write_mono(job.answer_file, answer.answer_audio, answer.sample_rate)
    if job.plot_file:
        from convai.client.plot import plot_answer  # matplotlib takes longer to import than the rest together

        plot_answer(job.plot_file, audio, sample_rate, answer)
    return Outcome(job.file, answer, job.answer_file, job.plot_file, job.trace_file, times)


def send(client: ConvaiClient, request: Request, job: AskJob, args: argparse.Namespace) -> tuple[Answer, Times]:
    if args.step_by_step:
        walk = StepByStep(client).walk(request)
        return walk.answer, walk.times
    if not (args.steps or job.trace_file):
        return client.answer(request), ()
    timed = timed_answer(client, request)
    if job.trace_file:
        from convai.client.timeline import draw_timeline

        calls = needed_calls(request.model, request.outputs, recogniser_of(client))
        draw_timeline(job.trace_file, job.file.name, timed, calls)
    return timed.answer, timed.steps
