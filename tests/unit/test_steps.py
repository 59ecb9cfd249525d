import numpy as np

from convai.client.requests import ask_request
from convai.client.steps import Counters, calls_of, have_counted, needed_calls, recogniser_of, times_between
from convai.description.recognisers import JASPER, MOONSHINE, steps_with


def steps(ensemble, *outputs):
    return [call.step for call in needed_calls(ensemble, outputs, JASPER)]


def test_an_output_needs_only_the_steps_on_the_way_to_it():
    assert steps("convai_ensemble", "question") == ["speech_features", "jasper", "ctc_decoder"]
    assert steps("text_to_speech", "mel") == ["text_encoder", "tacotron2", "mel_padder"]


def test_an_output_nobody_uses_is_not_requested():
    (decoder,) = [call for call in needed_calls("convai_ensemble", ["answer"], JASPER) if call.step == "ctc_decoder"]
    assert set(decoder.outputs) == {"transcript"}


def test_the_recogniser_is_the_one_whose_steps_are_all_loaded():
    for recogniser in (JASPER, MOONSHINE):
        assert recogniser_of([step.name for step in steps_with(recogniser)]) is recogniser
    assert recogniser_of(["speech_features", "jasper", "moonshine"]) is MOONSHINE
    assert recogniser_of([]) is JASPER


def test_the_steps_of_a_request_are_those_of_the_servers_recogniser():
    request = ask_request(np.zeros(1), 16_000, "Ada wrote it.", ["question"])
    assert [call.step for call in calls_of(request, {"moonshine"})] == ["moonshine"]


def test_times_are_means_over_the_requests_between_two_readings():
    before = {"jasper": Counters(1, 1, 1, 1, 1, 1)}
    after = {"jasper": Counters(3, 2, 2_000_000_001, 400_000_001, 600_000_001, 1), "waveglow": Counters()}
    (time,) = times_between(before, after, ["jasper", "waveglow", "moonshine"])
    assert (time.step, time.requests) == ("jasper", 2)
    assert (time.queue_seconds, time.input_seconds, time.infer_seconds, time.output_seconds) == (1.0, 0.2, 0.3, 0.0)
    assert (time.compute_seconds, time.seconds) == (0.5, 1.5)


def test_steps_have_counted_once_each_has_counted_enough():
    before, after = {}, {"jasper": Counters(requests=2), "waveglow": Counters(requests=1)}
    assert have_counted(before, after, ["jasper", "waveglow"])
    assert not have_counted(before, after, ["jasper", "waveglow"], requests=2)
    assert not have_counted(before, after, ["moonshine"])
