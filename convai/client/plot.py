"""Plots a question and its answer: both waveforms, and the mel spectrogram of the answer."""

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from convai.arrays import Array
from convai.client.answer import Answer
from convai.errors import InvalidArgument

TITLE_CHARACTERS = 90
QUIET_PEAK = 0.05  # silence is a line, not magnified noise
QUESTION_COLOUR, ANSWER_COLOUR = "tab:blue", "tab:green"


def check_can_be_plotted(path: Path) -> None:
    endings = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lower()[1:] not in endings:
        raise InvalidArgument(f"--plot: expected a name that ends in one of .{', .'.join(endings)}, got {path}")


def plot_answer(path: Path, question_audio: Array, sample_rate: int, answer: Answer) -> None:
    """Write a picture to `path`; the ending chooses the format (.png, .svg, .pdf).

    `answer` needs `question`, `answer`, `answer_audio` and `mel`; `question_audio` has shape (samples,).
    """
    assert answer.mel is not None and answer.answer_audio is not None
    # A bare Figure draws with Agg on every display and keeps no global state, unlike pyplot.
    figure = Figure(figsize=(10, 7.5), layout="constrained")
    question_axes, mel_axes, answer_axes = figure.subplots(3, height_ratios=(1, 1.6, 1))
    mel_axes.sharex(answer_axes)
    _draw_waveform(question_axes, question_audio, sample_rate, QUESTION_COLOUR)
    _title(question_axes, "Question as recognised", answer.question or "(nothing)")
    _draw_mel(mel_axes, answer.mel, answer.seconds)
    _title(mel_axes, "Answer", answer.answer or "(none found in the text)")
    _draw_waveform(answer_axes, answer.answer_audio, answer.sample_rate, ANSWER_COLOUR)
    _title(answer_axes, "Answer as spoken", f"{answer.seconds:.2f} s")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def _draw_waveform(axes: Axes, audio: Array, sample_rate: int, colour: str) -> None:
    axes.plot(np.arange(audio.size) / sample_rate, audio, color=colour, linewidth=0.5)
    peak = max(QUIET_PEAK, 1.1 * np.abs(audio).max(initial=0))
    axes.set(xlabel="time [s]", ylabel="amplitude", xlim=(0, audio.size / sample_rate), ylim=(-peak, peak))
    axes.grid(alpha=0.3)


def _draw_mel(axes: Axes, mel: Array, seconds: float) -> None:
    image = axes.imshow(mel, origin="lower", aspect="auto", extent=(0, seconds, 0, mel.shape[0]), cmap="magma")
    axes.set(xlabel="time [s]", ylabel="mel band")
    axes.figure.colorbar(image, ax=axes, label="log magnitude", pad=0.01)


def _title(axes: Axes, kind: str, text: str) -> None:
    wrapped = textwrap.fill(f"{kind}: {text}", TITLE_CHARACTERS, max_lines=2, placeholder=" ...")
    # A $ in the text does not begin a formula.
    axes.set_title(wrapped, loc="left", fontsize=11, parse_math=False)
