"""Reads BERT for question answering as NVIDIA's DeepLearningExamples and Hugging Face store it.

Sizes come from the tensors' shapes, the rest from a `config.json` beside the file.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from convai.errors import InvalidArgument, reading
from convai.networks.bert.config import CONFIGS, PADDED_VOCAB_SIZE, BertConfig
from convai.networks.checkpoints.renames import Converted, RenameTable, find_size, rename, select_tensors

RENAMES: RenameTable = (
    (r"^module\.", ""),
    (r"^bert\.embeddings\.position_ids$", None),  # a buffer that counts from 0
    (r"LayerNorm\.gamma$", "LayerNorm.weight"),
    (r"LayerNorm\.beta$", "LayerNorm.bias"),
    (r"(intermediate|pooler)\.dense\.", r"\1.dense_act."),
)
LAYER_KEY = re.compile(r"^bert\.encoder\.layer\.(\d+)\.")
CONFIG_FILES = ("config.json", "bert_config.json")
USUAL_HEAD_SIZE = 64


def read(contents: Mapping[str, Any], path: Path) -> Converted | None:
    published = select_tensors(contents, "model")
    tensors = rename(published, RENAMES)
    if not any(LAYER_KEY.match(key) for key in tensors):
        return None
    if any(".dense_act." in key for key in published):
        layout = f"NVIDIA DeepLearningExamples, BERT {'under the key `model`' if 'model' in contents else 'bare'}"
    else:
        layout = "Hugging Face, BertForQuestionAnswering"
    return Converted(layout, infer_config(tensors, read_stated_config(path)), tensors)


def infer_config(tensors: Mapping[str, Tensor], stated: Mapping[str, Any]) -> BertConfig:
    hidden_size = find_size(
        tensors, "bert.encoder.layer.0.attention.self.query.weight", 0, CONFIGS["bert-large"].hidden_size
    )
    return BertConfig(
        vocab_size=find_size(tensors, "bert.embeddings.word_embeddings.weight", 0, PADDED_VOCAB_SIZE),
        hidden_size=hidden_size,
        num_hidden_layers=1 + max(int(match[1]) for match in map(LAYER_KEY.match, tensors) if match),
        num_attention_heads=stated.get("num_attention_heads", guess_heads(hidden_size)),
        intermediate_size=find_size(tensors, "bert.encoder.layer.0.intermediate.dense_act.weight", 0, 4 * hidden_size),
        max_position_embeddings=find_size(tensors, "bert.embeddings.position_embeddings.weight", 0, 512),
        type_vocab_size=find_size(tensors, "bert.embeddings.token_type_embeddings.weight", 0, 2),
        layer_norm_eps=stated.get("layer_norm_eps", BertConfig.layer_norm_eps),
        has_pooler=any(key.startswith("bert.pooler.") for key in tensors),
    )


def guess_heads(hidden_size: int) -> int:
    """Return the heads of the known configuration of this width (MiniLM has narrow ones), else heads of 64."""
    for config in CONFIGS.values():
        if config.hidden_size == hidden_size:
            return config.num_attention_heads
    return max(1, hidden_size // USUAL_HEAD_SIZE)


def read_stated_config(path: Path) -> Mapping[str, Any]:
    """Read the configuration beside the file. Raises InvalidArgument if it is for another kind of BERT."""
    for name in CONFIG_FILES:
        file = path.with_name(name)
        if file.is_file():
            with reading(file, "JSON object"):
                stated = dict(json.loads(file.read_text()))
            check_kind(stated, file)
            return stated
    return {}


def check_kind(stated: Mapping[str, Any], file: Path) -> None:
    for name, expected in (("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
        if stated.get(name, expected) != expected:
            raise InvalidArgument(f"{file}: {name}: expected {expected!r}, got {stated[name]!r}")
