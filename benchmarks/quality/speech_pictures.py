"""Draws the same texts as several voices speak them: one picture per text, with the mel and waveform of each voice.

Above these stands, of a voice that attends, to which symbol it attended when.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.quality.voices import Spoken

PICTURES = 5
MEL_RANGE = (-11.5, 2.0)  # log magnitudes

Draw = Callable[[Axes, Spoken], None]


def draw(folder: Path, texts: Sequence[str], spoken: Mapping[str, Sequence[Spoken]]) -> None:
    """Write the first few texts as <folder>/000.png and so on."""
    for number, text in enumerate(texts[:PICTURES]):
        picture(text, {name: ones[number] for name, ones in spoken.items()}).savefig(
            folder / f"{number:03}.png", dpi=80
        )


def picture(text: str, voices: Mapping[str, Spoken]) -> Figure:
    panels = [(name, one, draw) for name, one in voices.items() for draw in panels_of(one)]
    heights = [HEIGHTS[draw] for _, _, draw in panels]
    figure = Figure(figsize=(11, 1.1 * sum(heights)), layout="constrained")
    figure.suptitle(text[:120], parse_math=False)
    rows = figure.subplots(len(panels), height_ratios=heights)
    for (name, one, draw), axes in zip(panels, rows, strict=True):
        draw(axes, one)
        axes.set_xlim(0, one.seconds)
        if draw is panels_of(one)[0]:
            axes.set_title(name)
    return figure


def panels_of(one: Spoken) -> list[Draw]:
    return [draw_mel, draw_waveform] if one.attention is None else [draw_attention, draw_mel, draw_waveform]


def draw_attention(axes: Axes, one: Spoken) -> None:
    assert one.attention is not None  # panels_of saw to it
    extent = (0, one.seconds, 0, one.attention.shape[1])
    axes.imshow(one.attention.T, origin="lower", aspect="auto", interpolation="none", extent=extent, vmin=0, vmax=1)
    axes.set_ylabel("symbol")


def draw_mel(axes: Axes, one: Spoken) -> None:
    extent = (0, one.seconds, 0, len(one.mel))
    axes.imshow(one.mel, origin="lower", aspect="auto", extent=extent, vmin=MEL_RANGE[0], vmax=MEL_RANGE[1])
    axes.set_ylabel("mel band")


def draw_waveform(axes: Axes, one: Spoken) -> None:
    axes.plot(np.linspace(0, one.seconds, len(one.audio)), one.audio, linewidth=0.4)
    axes.set(ylim=(-1, 1), xlabel="time [s]")


HEIGHTS: dict[Draw, int] = {draw_attention: 2, draw_mel: 2, draw_waveform: 1}
