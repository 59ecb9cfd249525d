import hashlib

import pytest
from support.places import ROOT

DECODER = ROOT / "model_repository/ctc_decoder/1"
WEIGHTS = [
    *sorted((ROOT / "weights").glob("*.safetensors")),
    DECODER / "english_rescorer.safetensors",
    DECODER / "english_trigrams.arpa.gz",
]


@pytest.mark.parametrize("file", WEIGHTS, ids=lambda file: file.name)
def test_a_card_beside_the_weights_states_their_sha256(file):
    assert (
        hashlib.sha256(file.read_bytes()).hexdigest() in (file.parent / f"{file.name.partition('.')[0]}.md").read_text()
    )
