import hashlib

import pytest
from support.places import ROOT

RESCORER = ROOT / "model_repository/ctc_decoder/1/english_rescorer.safetensors"
WEIGHTS = [*sorted((ROOT / "weights").glob("*.safetensors")), RESCORER]
LARGEST_TOTAL_BYTES = 75e6


@pytest.mark.parametrize("file", WEIGHTS, ids=lambda file: file.stem)
def test_a_card_beside_the_weights_states_their_sha256(file):
    assert hashlib.sha256(file.read_bytes()).hexdigest() in file.with_suffix(".md").read_text()


def test_all_default_weights_together_stay_small():
    files = [*WEIGHTS, RESCORER.with_name("english_trigrams.arpa.gz")]
    assert sum(file.stat().st_size for file in files) <= LARGEST_TOTAL_BYTES
