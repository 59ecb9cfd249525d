"""Variants of how the processors are shared out are served from the files of one repository and compared fairly."""

import pytest

from benchmarks.tuning.processes import AS_IT_IS, VARIANTS, Figures, medians, table, varied, write_repository
from convai.errors import InvalidArgument
from convai.generator.check import parse
from convai.generator.profiles import PROFILES


def figures(variant, in_flight=8, answers_per_second=5.0, p50_seconds=0.2):
    return Figures(variant, in_flight, answers_per_second, p50_seconds, 0.1, 1e9, 4.0)


def test_a_variant_changes_threads_and_processes_of_the_networks_it_names_and_nothing_else():
    before = PROFILES["cpu"]
    after = varied(before, "bert=1x3,jasper=2x1")
    assert after.settings["bert"].instances == 3
    assert after.settings["bert"].parameters["INFERENCE_NUM_THREADS"] == 1
    assert after.settings["bert"].parameters["niceness"] == before.settings["bert"].parameters["niceness"]
    assert after.settings["jasper"].parameters["INFERENCE_NUM_THREADS"] == 2
    assert {name for name, one in after.settings.items() if one != before.settings[name]} <= {"bert", "jasper"}
    assert varied(before, AS_IT_IS) is before


@pytest.mark.parametrize("variant", ["bert", "bert=2", "ctc_decoder=1x2", "bert=1x2 waveglow=1x2"])
def test_a_variant_that_is_none_is_refused(variant):
    with pytest.raises(InvalidArgument, match="allowed is as-it-is, or parts like bert=1x2"):
        varied(PROFILES["cpu"], variant)


@pytest.mark.parametrize("name", ["cpu", "cpu-onnx"])
def test_every_variant_to_begin_with_can_be_written(tmp_path, name):
    source = tmp_path / "source"
    for model in ("bert", "jasper"):
        (source / model / "1").mkdir(parents=True)
        (source / model / "1" / "model.onnx").write_text(model)
    for number, variant in enumerate(VARIANTS):
        folder = tmp_path / str(number)
        profile = varied(PROFILES[name], variant)
        write_repository(folder, source, profile)
        config = parse(folder / "bert" / profile.config_file)
        assert config.instance_group[0].count == profile.settings["bert"].instances
        assert (folder / "bert" / "1" / "model.onnx").read_text() == "bert"


def test_figures_are_medians_over_rounds_beside_the_first_variant_under_the_same_load():
    rounds = [
        figures("first", answers_per_second=4.0),
        figures("first", answers_per_second=5.0),
        figures("first", answers_per_second=9.0),
        figures("second", answers_per_second=10.0, p50_seconds=0.1),
        figures("second", in_flight=1),
        figures("first", in_flight=1),
    ]
    lines = [line.split() for line in table(medians(rounds)).splitlines()]
    found = {(line[0], line[1]): line[2:4] for line in lines[1:]}
    assert found["first", "8"] == ["1.00x", "1.00x"]
    assert found["second", "8"] == ["2.00x", "0.50x"]
