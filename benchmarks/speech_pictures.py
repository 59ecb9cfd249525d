"""Draws the same texts as several voices speak them: one picture per text, mels above waveforms."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from convai.benchmarks.voices import Spoken

PICTURES = 5
MEL_RANGE = (-11.5, 2.0)  # log magnitudes


def draw(folder: Path, texts: Sequence[str], spoken: Mapping[str, Sequence[Spoken]]) -> None:
    """Write the first few texts as <folder>/000.png and so on."""
    for number, text in enumerate(texts[:PICTURES]):
        picture(text, {name: ones[number] for name, ones in spoken.items()}).savefig(
            folder / f"{number:03}.png", dpi=80
        )


def picture(text: str, voices: Mapping[str, Spoken]) -> Figure:
    figure = Figure(figsize=(11, 3.5 * len(voices)), layout="constrained")
    figure.suptitle(text[:120], parse_math=False)
    rows = figure.subplots(2 * len(voices), height_ratios=(2, 1) * len(voices))
    for (name, one), mel_axes, wave_axes in zip(voices.items(), rows[::2], rows[1::2], strict=True):
        extent = (0, one.seconds, 0, len(one.mel))
        mel_axes.imshow(one.mel, origin="lower", aspect="auto", extent=extent, vmin=MEL_RANGE[0], vmax=MEL_RANGE[1])
        mel_axes.set(title=name, ylabel="mel band")
        wave_axes.plot(np.linspace(0, one.seconds, len(one.audio)), one.audio, linewidth=0.4)
        wave_axes.set(xlim=(0, one.seconds), ylim=(-1, 1), xlabel="time [s]")
    return figure
