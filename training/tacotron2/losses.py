"""What Tacotron 2 is told about a batch: how far mel, gate and attention are from the teacher's."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from convai.networks.tacotron2.layers import length_mask
from convai.networks.tacotron2.model import Tacotron2
from training.tacotron2.alignment import swung
from training.tacotron2.data import Batch
from training.tacotron2.forced import Prediction, predict
from training.tacotron2.recipe import Recipe

LEAST_ATTENTION = 1e-8  # whose logarithm is finite


def batch_losses(network: Tacotron2, batch: Batch, recipe: Recipe, step: int) -> dict[str, Tensor]:
    """The losses of a training step; "loss" is their weighted sum."""
    rng = np.random.default_rng((recipe.schedule.seed, step))
    if step >= recipe.sequential_from and rng.random() < recipe.sequential_share:
        prediction = step_by_step(network, batch)
    else:
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            prediction = predict_as_told(network, batch, swung(batch.attention, recipe.largest_swing, rng))
    losses = parts(prediction, batch, recipe.gate_positive_weight)
    total = losses["mel"] + recipe.delta_weight * losses["delta"] + recipe.gate_weight * losses["gate"]
    return {"loss": total + recipe.attention_weight * losses["attention"], **losses}


def predict_as_told(network: Tacotron2, batch: Batch, attention: Tensor) -> Prediction:
    return predict(network, batch.symbol_ids, batch.symbols_length, batch.mels, batch.mels_length, attention)


def step_by_step(network: Tacotron2, batch: Batch) -> Prediction:
    decoded, mel, gates, attention = network.teacher_forced(
        batch.symbol_ids, batch.symbols_length, batch.mels, batch.mels_length
    )
    return Prediction(decoded, mel, gates, attention.clamp(min=LEAST_ATTENTION).log())


def parts(prediction: Prediction, batch: Batch, gate_positive_weight: float) -> dict[str, Tensor]:
    """Mean losses over valid frames or steps.

    Returns
    -------
    mel : absolute difference of the log-mels, before and after the postnet
    delta : the same of the change from frame to frame, which blurred mels lack
    gate : cross-entropy of ending
    attention : cross-entropy with the teacher's attention, in nats
    """
    frame_mask = length_mask(batch.mels_length.flatten().long(), batch.mels.size(2)).unsqueeze(1)
    step_mask = batch.step_mask
    differences = [mel.float() - batch.mels for mel in (prediction.decoded, prediction.mel)]
    gate = F.binary_cross_entropy_with_logits(
        prediction.gates.float(), batch.gates, reduction="none", pos_weight=torch.tensor(gate_positive_weight)
    )
    heard = batch.attention * prediction.log_attention.float().masked_fill(batch.attention == 0, 0)
    return {
        "mel": masked_mean(differences[0].abs(), frame_mask) + masked_mean(differences[1].abs(), frame_mask),
        "delta": masked_mean(differences[1].diff(dim=2).abs(), frame_mask[:, :, 1:]),
        "gate": masked_mean(gate, step_mask),
        "attention": masked_mean(-heard.sum(2), step_mask),
    }


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    return (values * mask).sum() / mask.expand_as(values).sum()
