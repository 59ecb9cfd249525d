"""Tells the step `text_encoder`, at export, which symbols Tacotron 2 reads."""

import json
from dataclasses import asdict
from pathlib import Path

from convai.description.pipeline import SYMBOLS_FILE
from convai.networks.tacotron2.config import Tacotron2Config
from convai.networks.tacotron2.model import Tacotron2

PATH = Path("text_encoder", "1", SYMBOLS_FILE)  # in the model repository


def write_companion(_network: Tacotron2, config: Tacotron2Config, model_repository: Path) -> None:
    path = model_repository / PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(config.symbols), indent=2) + "\n", encoding="utf-8")
