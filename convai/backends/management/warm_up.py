"""Ask a new server questions, so that the first caller does not wait for what every process does once.

Triton's Python backend takes some 20 ms longer for the first request to each step, and memory is fetched from the
system: together most of a second. On a GPU, TorchScript optimises Tacotron 2's loop during its first two runs too.
"""

import sys

from convai.backends.management.control import ControlClient
from convai.description.pipeline import SAMPLE_RATE_HERTZ
from convai.description.wiring import wiring_of

ENSEMBLE = "convai_ensemble"
# A second of silence is no question, so that the fallback sentence is spoken: every step runs.
SILENCE = {
    "question_audio": [0.0] * SAMPLE_RATE_HERTZ,
    "sample_rate": [SAMPLE_RATE_HERTZ],
    "context": ["Nothing was said."],
}
DEFAULT_QUESTIONS = 2
TIMEOUT_SECONDS = 600.0  # networks of NVIDIA's sizes take minutes on a CPU


def warm_up(control: ControlClient, questions: int = DEFAULT_QUESTIONS) -> None:
    """Send so many silent questions through the pipeline, one after another, if the server has it.

    What goes wrong is told on standard error and left to the first caller, who gets the step's own message.
    """
    try:
        if ENSEMBLE in control.ready_models():
            inputs = {tensor.name: (tensor.dtype, SILENCE[tensor.name]) for tensor in wiring_of(ENSEMBLE).inputs}
            for _ in range(questions):
                control.infer(ENSEMBLE, inputs, ["answer_audio"], TIMEOUT_SECONDS)
    except OSError as error:
        print(f"warm-up: {error}", file=sys.stderr, flush=True)
