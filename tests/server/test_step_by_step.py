import numpy as np
from support.sounds import chirp

from convai.client.requests import answer_text_request, speak_request
from convai.client.step_by_step import StepByStep


def test_every_ensemble_can_be_run_step_by_step(client):
    for request in (answer_text_request("who wrote it", "Ada wrote it."), speak_request("Ada", seed=3)):
        in_one_call, by_steps = client.answer(request), StepByStep(client).answer(request).answer
        for name in request.outputs:
            np.testing.assert_allclose(to_numbers(by_steps, name), to_numbers(in_one_call, name), atol=1e-3)


def to_numbers(answer, name):
    """An output as numbers; text as its code points."""
    output = getattr(answer, name)
    return [ord(character) for character in output] if isinstance(output, str) else output


def test_only_the_steps_needed_are_called_and_timed(client):
    walk = StepByStep(client).ask(chirp(0.5), sample_rate=16_000, context="Ada wrote it.", outputs=["question"])
    assert [time.step for time in walk.times] == ["speech_features", "jasper", "ctc_decoder"]
    assert all(time.round_trip_seconds > 0 for time in walk.times)
    assert walk.answer.answer is None


def test_tritons_statistics_time_each_step_of_one_request(client):
    timed = client.answer_timed(speak_request("Ada wrote the first program."))
    assert timed.answer.answer_audio.size > 0
    steps = [time.step for time in timed.steps]
    assert steps == ["text_encoder", "tacotron2", "mel_padder", "waveglow", "audio_trimmer"]
    for time in timed.steps:
        assert time.requests == 1
        assert min(time.queue_seconds, time.input_seconds, time.output_seconds) >= 0
        assert 0 < time.infer_seconds < time.compute_seconds < time.seconds
    assert sum(time.seconds for time in timed.steps) < 1.05 * timed.round_trip_seconds
