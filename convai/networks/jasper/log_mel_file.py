"""Tells the step `speech_features`, at export, with which options Jasper was trained."""

import json
from dataclasses import asdict
from pathlib import Path

from convai.description.pipeline import LOG_MEL_FILE
from convai.networks.jasper.config import JasperConfig
from convai.networks.jasper.model import Jasper

PATH = Path("speech_features", "1", LOG_MEL_FILE)  # in the model repository


def write_companion(_network: Jasper, config: JasperConfig, model_repository: Path) -> None:
    path = model_repository / PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(config.log_mel), indent=2) + "\n", encoding="utf-8")
