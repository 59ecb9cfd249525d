"""How well a Tacotron 2 speaks texts that it has not learnt from, without a listener."""

import numpy as np
import torch

from convai.networks.tacotron2.layers import length_mask
from convai.networks.tacotron2.model import Tacotron2
from training.tacotron2.data import Clip, collate
from training.tacotron2.losses import masked_mean

CLIPS_PER_BATCH = 8


@torch.inference_mode()
def measure(network: Tacotron2, clips: list[Clip]) -> dict[str, float]:
    """
    Returns
    -------
    mel : mean absolute difference of the log-mels, each step told the true frames before it, attention its own
    focus : mean of the highest attention weight of each step; a reader's is above 0.5
    off_symbols : mean distance of attention from the teacher's, in symbols
    runaways : share of texts, spoken freely, that never end by themselves
    length : ratio of the frames spoken freely to the teacher's, over all texts
    """
    figures = [figures_of(network, clips[i : i + CLIPS_PER_BATCH]) for i in range(0, len(clips), CLIPS_PER_BATCH)]
    return {name: round(float(np.mean([one[name] for one in figures])), 4) for name in figures[0]}


def figures_of(network: Tacotron2, clips: list[Clip]) -> dict[str, float]:
    batch = collate(clips, network.n_frames_per_step)
    torch.manual_seed(0)  # of the prenet's dropout
    _, mel, _, attention = network.teacher_forced(batch.symbol_ids, batch.symbols_length, batch.mels, batch.mels_length)
    frame_mask = length_mask(batch.mels_length.flatten().long(), batch.mels.size(2)).unsqueeze(1)
    places = torch.arange(batch.symbol_ids.size(1)).float()
    _, frames = network(batch.symbol_ids, batch.symbols_length)
    caps = network.step_caps(batch.symbols_length.flatten().long()) * network.n_frames_per_step
    return {
        "mel": float(masked_mean((mel - batch.mels).abs(), frame_mask)),
        "focus": float(masked_mean(attention.amax(2), batch.step_mask)),
        "off_symbols": float(masked_mean(((attention - batch.attention) @ places).abs(), batch.step_mask)),
        "runaways": float((frames.flatten() >= caps).float().mean()),
        "length": float(frames.sum() / batch.mels_length.sum()),
    }
