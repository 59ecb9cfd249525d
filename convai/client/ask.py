"""Ask a running server spoken or typed questions about a text.

convai ask question.wav --context text.txt --out answer.wav --plot answer.png --trace trace.json
convai ask questions/ --context text.txt --out answers/ --json
convai ask --question "Who wrote it?" --context text.txt
"""

import argparse
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from tqdm import tqdm

from convai.client.answer import Answer
from convai.client.audio_files import check_can_be_written, find_questions, read_mono, write_mono
from convai.client.client import ConvaiClient
from convai.client.command_options import add_server_arguments, connect, read_text
from convai.client.errors import ServerUnreachable
from convai.client.report import TEXT_OUTPUTS, Job, Times, as_json, as_text, failure_as_json
from convai.client.requests import Request, ask_request
from convai.client.step_by_step import StepByStep
from convai.client.trace import write_trace
from convai.description.limits import MAX_CONTEXT_BYTES, MAX_QUESTION_SECONDS
from convai.errors import InvalidArgument
from convai.program import escape_controls


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("questions", nargs="*", type=Path, help="audio or video files, or folders of them")
    parser.add_argument("--question", help="a typed question, in place of files")
    parser.add_argument("--context", required=True, help="UTF-8 text file to answer from, up to 32 KiB; - is stdin")
    parser.add_argument("--out", type=Path, help="file for the spoken answer; a folder for several questions")
    parser.add_argument("--plot", type=Path, help="picture of question and answer; a folder for several questions")
    parser.add_argument(
        "--trace", type=Path, help="JSON file with the time of each step, for ui.perfetto.dev; or a folder"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per question")
    times = parser.add_mutually_exclusive_group()
    times.add_argument("--steps", action="store_true", help="show the time of each step inside the server")
    times.add_argument("--step-by-step", action="store_true", help="call and time each step from here, for debugging")
    parser.add_argument("--seed", type=int, help="another seed gives another take of the spoken answer")
    add_server_arguments(parser, "question")


def run(args: argparse.Namespace) -> int:
    if (args.question is None) == (not args.questions):
        given = "neither" if args.question is None else "both"
        raise InvalidArgument(f"expected either files or --question, got {given}")
    if args.question is not None:
        return ask_typed(args)
    if args.trace and args.step_by_step:
        raise InvalidArgument("--trace needs times inside the server, which --step-by-step lacks; leave one out")
    if args.plot:
        import_module("matplotlib")  # if it is missing, the error comes before anything is asked
    jobs = plan(args.questions, args.out, args.plot, args.trace)
    context = read_text("--context", args.context, "to answer from", MAX_CONTEXT_BYTES)
    with connect(args) as client:
        progress = tqdm(jobs, unit="question", disable=True if len(jobs) == 1 else None)
        succeeded = [try_job(client, job, context, args) for job in progress]
    return 0 if all(succeeded) else 1


def ask_typed(args: argparse.Namespace) -> int:
    """Answer --question, and speak the answer if it is written to a file."""
    if args.plot or args.trace or args.steps or args.step_by_step:
        raise InvalidArgument("--question: expected --out, --json and --seed alone beside it, got another option")
    if args.out:
        check_can_be_written(args.out)
    context = read_text("--context", args.context, "to answer from", MAX_CONTEXT_BYTES)
    with connect(args) as client:
        answer = replace(client.answer_text(args.question, context), question=args.question)
        if args.out:
            audio = client.speak(answer.sentence or "", seed=args.seed).answer_audio
            assert audio is not None  # `speak` requests it
            write_mono(args.out, audio, answer.sample_rate)
            answer = replace(answer, answer_audio=audio)
    print((as_json if args.json else as_text)(Job(Path("--question"), args.out, None, None), answer, ()))
    return 0


def plan(paths: list[Path], out: Path | None, plot: Path | None, trace: Path | None) -> list[Job]:
    """Find the questions and name the files to write before anything is asked."""
    into_folders = len(paths) > 1 or paths[0].is_dir()

    def target(path: Path | None, question: Path, ending: str) -> Path | None:
        if path is None:
            return None
        return path / f"{question.stem}{ending}" if into_folders or path.is_dir() else path

    jobs = [
        Job(file, target(out, file, ".wav"), target(plot, file, ".png"), target(trace, file, "-trace.json"))
        for file in find_questions(paths)
    ]
    check_targets(jobs)
    return jobs


def check_targets(jobs: list[Job]) -> None:
    """Raise InvalidArgument if a file to write has the wrong ending, or overwrites a question or another such file."""
    taken = {job.file.resolve() for job in jobs}
    for job in jobs:
        if job.answer_file:
            check_can_be_written(job.answer_file)
        if job.plot_file:
            from convai.client.plot import check_can_be_plotted  # the bare client lacks matplotlib

            check_can_be_plotted(job.plot_file)
        if job.trace_file and job.trace_file.suffix != ".json":
            raise InvalidArgument(f"--trace: expected a name that ends in .json, got {job.trace_file}")
        for path in job.written:
            if path.resolve() in taken:
                raise InvalidArgument(
                    f"the answer to {job.file} would overwrite {path}; give --out, --plot or --trace another place"
                )
            taken.add(path.resolve())


def try_job(client: ConvaiClient, job: Job, context: str, args: argparse.Namespace) -> bool:
    """Answer one question. Report a failure and continue, unless no server can be reached."""
    try:
        answer, times = answer_job(client, job, context, args)
    except ServerUnreachable:
        raise
    except (InvalidArgument, OSError) as error:
        tqdm.write(escape_controls(f"convai ask: {job.file}: {error}"), file=sys.stderr)
        if args.json:
            tqdm.write(failure_as_json(job.file, error), file=sys.stdout)
        return False
    tqdm.write((as_json if args.json else as_text)(job, answer, times), file=sys.stdout)
    return True


def answer_job(client: ConvaiClient, job: Job, context: str, args: argparse.Namespace) -> tuple[Answer, Times]:
    audio, sample_rate = read_mono(job.file, MAX_QUESTION_SECONDS)
    # Nothing is synthesised unless it is written or timed.
    outputs = TEXT_OUTPUTS + (("answer_audio",) if job.written else ()) + (("mel",) if job.plot_file else ())
    answer, times = send(client, ask_request(audio, sample_rate, context, outputs, args.seed), job, args)
    if job.answer_file and answer.answer_audio is not None:
        write_mono(job.answer_file, answer.answer_audio, answer.sample_rate)
    if job.plot_file:
        from convai.client.plot import plot_answer  # matplotlib takes longer to import than all the rest

        plot_answer(job.plot_file, audio, sample_rate, answer)
    return answer, times


def send(client: ConvaiClient, request: Request, job: Job, args: argparse.Namespace) -> tuple[Answer, Times]:
    if args.step_by_step:
        walk = StepByStep(client).answer(request)
        return walk.answer, walk.times
    if not (args.steps or job.trace_file):
        return client.answer(request), ()
    timed = client.answer_timed(request)
    if job.trace_file:
        write_trace(job.trace_file, job.file.name, timed)
    return timed.answer, timed.steps
