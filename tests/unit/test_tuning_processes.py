"""Variants of threads and processes are served from the files of one repository."""

import pytest

from benchmarks.tuning.processes import UNCHANGED, VARIANTS, apply_variant, write_repository
from convai.generator.check import parse
from convai.generator.profiles import PROFILES


def test_a_variant_changes_threads_and_processes_of_the_networks_it_names_and_nothing_else():
    before = PROFILES["cpu"]
    after = apply_variant(before, "bert=1x3,jasper=2x1")
    assert after.settings["bert"].instances == 3
    assert after.settings["bert"].parameters["INFERENCE_NUM_THREADS"] == 1
    assert after.settings["bert"].parameters["niceness"] == before.settings["bert"].parameters["niceness"]
    assert after.settings["jasper"].parameters["INFERENCE_NUM_THREADS"] == 2
    assert {name for name, one in after.settings.items() if one != before.settings[name]} <= {"bert", "jasper"}
    assert apply_variant(before, UNCHANGED) is before


@pytest.mark.parametrize("name", ["cpu", "cpu-onnx"])
def test_every_default_variant_can_be_written(tmp_path, name):
    source = tmp_path / "source"
    for model in ("bert", "jasper"):
        (source / model / "1").mkdir(parents=True)
        (source / model / "1" / "model.onnx").write_text(model)
    for number, variant in enumerate(VARIANTS):
        folder = tmp_path / str(number)
        profile = apply_variant(PROFILES[name], variant)
        write_repository(folder, source, profile)
        config = parse(folder / "bert" / profile.config_file)
        assert config.instance_group[0].count == profile.settings["bert"].instances
        assert (folder / "bert" / "1" / "model.onnx").read_text() == "bert"
