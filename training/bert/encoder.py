"""Reads a pretrained encoder from a folder in Hugging Face's layout."""

import json
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import load_file

from convai.errors import InvalidArgument, reading
from convai.networks.bert.config import BertConfig
from convai.networks.bert.model import Bert


def encoder_config(encoder: Path) -> BertConfig:
    """Read the sizes from the encoder's config.json. Its dropout was that of the pretraining and is left there."""
    file = encoder / "config.json"
    with reading(file, "JSON object"):
        published = dict(json.loads(file.read_text()))
    names = (asdict(BertConfig()).keys() & published.keys()) - {"hidden_dropout_prob"}
    return BertConfig(**{name: published[name] for name in names})


def load_encoder(network: Bert, encoder: Path) -> None:
    """Fill the encoder from a Hugging Face folder (`model.safetensors`), whose feed-forward layer has another name."""
    state = {
        f"bert.{name.removeprefix('bert.')}": tensor
        for name, tensor in load_file(encoder / "model.safetensors").items()
    }
    state = {name.replace("intermediate.dense.", "intermediate.dense_act."): tensor for name, tensor in state.items()}
    own = network.state_dict()
    missing = [name for name in own if name.startswith("bert.") and name not in state]
    if missing:
        raise InvalidArgument(f"{encoder} lacks the encoder's weights {', '.join(missing)}")
    network.load_state_dict({name: state[name] for name in own if name in state}, strict=False)
