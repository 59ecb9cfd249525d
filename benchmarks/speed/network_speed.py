"""Measure what was made faster in the voice's networks without changing their result, before and after in one run.

python -m convai.benchmarks.speed.network_speed --waveglow mini --tacotron2 mini --json speed.json
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convai.backends.steps.voice_mel import HOP_LENGTH
from convai.benchmarks.speed.textbook_decoder import TextbookDecoder
from convai.networks.tacotron2 import model as tacotron2
from convai.networks.waveglow import model as waveglow
from convai.networks.waveglow.fold import FoldedWaveGlow
from convai.pipeline.description import VOICE_SAMPLE_RATE_HERTZ
from convai.pipeline.program import run_program

FRAMES = 100
STEPS = 100


def multiply_adds_per_second(network: nn.Module, config: waveglow.WaveGlowConfig) -> float:
    """Multiplications with an addition that one second of audio takes. `network` is on the meta device."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        network(
            torch.zeros(1, config.n_mel_channels, FRAMES),
            torch.zeros(1, config.n_group, FRAMES * config.groups_per_frame),
        )
    return counter.get_total_flops() / 2 * VOICE_SAMPLE_RATE_HERTZ / (FRAMES * HOP_LENGTH)


def count_waveglow(name: str) -> dict[str, float]:
    """Billions of multiply-adds per second of audio; `folded whole` folds the upsampling too."""
    config = waveglow.CONFIGS[name]
    with torch.device("meta"):
        plain = waveglow.WaveGlow(config)
        variants = {"plain": plain, "folded": FoldedWaveGlow(plain)}
        if config.conditioning == "upsampled":
            variants["folded whole"] = FoldedWaveGlow(plain, keep_upsampling=False)
    return {variant: multiply_adds_per_second(network, config) / 1e9 for variant, network in variants.items()}


def time_waveglow(name: str, rounds: int) -> dict[str, float]:
    """Seconds of audio per second of one core."""
    config = waveglow.CONFIGS[name]
    plain = waveglow.WaveGlow(config).eval()
    inputs = waveglow.example_inputs(config, 1, FRAMES)
    networks = {"plain": plain, "folded": FoldedWaveGlow(plain)}
    seconds = shortest({variant: lambda n=network: n(*inputs) for variant, network in networks.items()}, rounds)
    return {variant: FRAMES * HOP_LENGTH / VOICE_SAMPLE_RATE_HERTZ / took for variant, took in seconds.items()}


def time_decoder(name: str, batch: int, symbols: int, rounds: int) -> dict[str, float]:
    """Decoder steps per second of one core, scripted as they are exported."""
    config = tacotron2.CONFIGS[name]
    network = tacotron2.Tacotron2(config).eval()
    textbook = TextbookDecoder(config).eval()
    textbook.load_state_dict(network.decoder.state_dict())
    symbol_ids, _ = tacotron2.example_inputs(config, 1, symbols)
    memory, mask = network.encode(symbol_ids.expand(batch, -1), torch.full((batch,), symbols))
    arguments = memory, mask, torch.full((batch,), STEPS)
    decoders = {"textbook": torch.jit.script(textbook), "ours": torch.jit.script(network.decoder)}
    seconds = shortest({variant: lambda d=decoder: d(*arguments) for variant, decoder in decoders.items()}, rounds)
    return {variant: STEPS / took for variant, took in seconds.items()}


def shortest(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Processor seconds of each run, the best of several rounds that take turns, for other programs disturb some."""
    seconds = {name: float("inf") for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name] = min(seconds[name], time.process_time() - start)
    return seconds


def line(name: str, unit: str, figures: Mapping[str, float]) -> str:
    first = next(iter(figures.values()))
    cells = (f"{variant} {value:,.4g} ({value / first:.2f}x)" for variant, value in figures.items())
    return f"{name:<34}{'   '.join(cells)}   {unit}"


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--waveglow", choices=waveglow.CONFIGS, default="mini", help="size to time (default: mini)")
    parser.add_argument("--tacotron2", choices=tacotron2.CONFIGS, default="mini", help="size to time (default: mini)")
    parser.add_argument("--rounds", type=int, default=6, help="the best of so many counts (default: 6)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    figures = {}
    with torch.inference_mode():
        for name in waveglow.CONFIGS:
            figures[f"WaveGlow {name}", "1e9 multiply-adds per second of audio"] = count_waveglow(name)
        figures[f"WaveGlow {args.waveglow}", "seconds of audio per second"] = time_waveglow(args.waveglow, args.rounds)
        for batch, symbols in ((1, 64), (1, 256), (4, 64)):
            name = f"Tacotron 2 {args.tacotron2}, {batch} x {symbols} symbols"
            figures[name, "steps per second"] = time_decoder(args.tacotron2, batch, symbols, args.rounds)
    for (name, unit), values in figures.items():
        print(line(name, unit, values))
    if args.json:
        rows = [{"name": name, "unit": unit, **values} for (name, unit), values in figures.items()]
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
