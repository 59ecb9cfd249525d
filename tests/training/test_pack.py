import json
import tarfile

import numpy as np
import pytest
import soundfile

from training.common import pack
from training.common.recordings import read_manifest
from training.jasper.data import is_held_out


@pytest.fixture
def manifests(tmp_path):
    """Real and synthetic clips of half a second, by several speakers."""
    rng = np.random.default_rng(0)
    files = []
    for kind in ("real", "synthetic"):
        folder = tmp_path / kind
        folder.mkdir()
        lines = []
        for number in range(24):
            soundfile.write(folder / f"{number}.flac", rng.normal(0, 0.1, 11_025), 22_050)
            lines.append({"audio": f"{number}.flac", "text": f"{kind} words", "speaker": f"{kind} {number}"})
        files.append(folder / "manifest.jsonl")
        files[-1].write_text("".join(json.dumps(line) + "\n" for line in lines))
    return files


def test_every_pack_is_small_enough_and_its_manifests_name_its_clips(manifests, tmp_path):
    real, synthetic = map(str, manifests)
    options = ["--packs", "2", "--mebibytes", "0.03", "--out", str(tmp_path / "packs")]
    assert pack.main(["--real", real, "--synthetic", synthetic, *options]) == 0
    files = sorted((tmp_path / "packs").glob("*.tar"))
    assert len(files) == 2
    for file in files:
        assert file.stat().st_size <= 0.03 * 2**20
        with tarfile.open(file) as tar:
            tar.extractall(tmp_path / "unpacked", filter="data")
    for manifest in (tmp_path / "unpacked").glob("*/*/manifest.jsonl"):
        for clip in read_manifest(manifest):
            assert soundfile.info(clip.audio).samplerate == 16_000
            assert is_held_out(clip.speaker) == (manifest.parent.name == "dev") or clip.text == "synthetic words"


def test_a_pack_too_small_for_a_clip_is_refused(manifests, tmp_path, capsys):
    real, synthetic = map(str, manifests)
    options = ["--mebibytes", "0.01", "--out", str(tmp_path / "packs")]
    assert pack.main(["--real", real, "--synthetic", synthetic, *options]) == 1
    assert "--mebibytes: expected room for a clip, got 0.01" in capsys.readouterr().err
