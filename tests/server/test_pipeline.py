"""The claims about the whole pipeline, on a real tritonserver."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from support.sounds import chirp, misheard
from support.triton_requests import infer, infer_together

from convai.client import ConvaiClient
from convai.client.steps import requests_between
from convai.description.pipeline import ENSEMBLES
from convai.description.wiring import wiring_of

OUTPUTS = ENSEMBLES[0].outputs
STEPS = tuple(call.step for call in wiring_of("convai_ensemble").calls)
SUBSETS = [subset for size in range(1, 7) for subset in itertools.combinations(OUTPUTS, size)]
TOLERANCES = {"answer_audio": 1e-3, "mel": 1e-2, "answer_score": 1e-4}
CONTEXTS = [
    "Ada wrote the first program.",
    "The river is 1,233 km long, and nobody has swum it all.",
    "Zoë’s café — opened in 1998 — is in Brno. " * 3,
    "The bridge was built by Ivan Horvat in 1931, after two others had failed. " * 12,
]


def steps_needed(outputs):
    """Follow the wires backwards from the outputs."""
    calls = wiring_of("convai_ensemble").calls
    wanted, steps = set(outputs), set()
    for call in reversed(calls):
        if wanted & set(call.outputs.values()):
            steps.add(call.step)
            wanted |= set(call.inputs.values())
    return steps


def assert_same_answer(one, other, outputs=OUTPUTS):
    for name in outputs:
        if name in TOLERANCES:
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=TOLERANCES[name])
        else:
            assert getattr(one, name) == getattr(other, name)


def ask_together(server, questions):
    """Send all questions at the same time; returns the answers in order."""
    with ConvaiClient(server.grpc_address) as client, ThreadPoolExecutor(len(questions)) as pool:
        futures = [pool.submit(client.ask, audio, sample_rate=rate, context=text) for audio, rate, text in questions]
        return [future.result() for future in futures]


def test_one_call_returns_every_output(client, example_question, example_context):
    samples, rate = example_question
    answer = client.ask(samples, sample_rate=rate, context=example_context)
    start, end = answer.answer_span
    assert answer.question == "what is he often called"
    assert answer.answer == example_context[start:end] == "England's national poet"
    assert 0 <= answer.answer_score <= 1
    assert answer.mel.shape[0] == 80
    assert answer.answer_audio.shape == (answer.mel.shape[1] * 256,)
    assert np.abs(answer.answer_audio).max() <= 1


def test_each_subset_of_outputs_equals_the_same_part_of_the_whole(client):
    ask = partial(client.ask, chirp(1.0), sample_rate=16_000, context=CONTEXTS[0])
    whole = ask()
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(lambda subset: ask(outputs=subset), SUBSETS)
        for subset, part in zip(SUBSETS, parts, strict=True):
            assert all(getattr(part, name) is None for name in OUTPUTS if name not in subset)
            assert_same_answer(part, whole, subset)


def counters_at_rest(client):
    """The counters once they no longer change: on a busy machine a step counts some time after it has answered."""
    before, now = None, client.read_counters()
    while before != now:
        time.sleep(0.2)
        before, now = now, client.read_counters()
    return now


@pytest.mark.parametrize(
    "outputs", [("question",), ("answer",), ("mel",), ("question", "answer_span"), ("answer_audio",)]
)
def test_only_the_steps_that_the_outputs_need_are_run(server, client, outputs):
    before = counters_at_rest(client)
    client.ask(chirp(0.5), sample_rate=16_000, context=CONTEXTS[0], outputs=outputs)
    after = client.wait_for_counters(before, steps_needed(outputs))
    ran = {step for step in STEPS if requests_between(before, after, step)}
    assert ran == steps_needed(outputs)


def test_requests_of_every_bucket_and_rate_sent_together_have_the_answers_of_single_ones(server, client):
    seconds = [0.1, 0.6, 1.5, 2.2, 3.4, 4.6, 6.9, 9.0]
    rates = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]
    questions = [
        (chirp(length, rate, seed=i), rate, CONTEXTS[i % len(CONTEXTS)])
        for i, (length, rate) in enumerate(zip(seconds, rates, strict=True))
    ]
    alone = [client.ask(audio, sample_rate=rate, context=text) for audio, rate, text in questions]
    for one, other in zip(alone, ask_together(server, questions), strict=True):
        assert_same_answer(one, other)


def test_the_smaller_ensembles_chained_give_the_large_ones_answer(client, example_question, example_context):
    samples, rate = example_question
    whole = client.ask(samples, sample_rate=rate, context=example_context)
    question = client.transcribe(samples, sample_rate=rate)
    answer = client.answer_text(question, example_context)
    assert (question, answer.answer, answer.answer_span) == (whole.question, whole.answer, whole.answer_span)


def test_words_have_times_which_silence_before_them_shifts(client, example_question):
    samples, rate = example_question
    whole = client.transcribe_words(samples, sample_rate=rate)
    assert whole.text == client.transcribe(samples, sample_rate=rate) == " ".join(word.text for word in whole.words)
    times = [time for word in whole.words for time in (word.start_seconds, word.end_seconds)]
    assert times == sorted(times) and times[0] > 0 and times[-1] < len(samples) / rate
    later = client.transcribe_words(np.pad(samples, (rate, 0)), sample_rate=rate)
    assert later.text == whole.text
    for word, shifted in zip(whole.words, later.words, strict=True):
        assert shifted.start_seconds == pytest.approx(word.start_seconds + 1, abs=0.1)


def test_rows_of_one_request_have_words_of_their_own(client, example_question):
    samples, rate = example_question
    rows = np.stack([np.zeros_like(samples), samples])
    inputs = {"question_audio": rows, "sample_rate": np.full((2, 1), rate, np.int32)}
    batch = infer(client.triton, "speech_to_text", **inputs)
    alone = client.transcribe_words(samples, sample_rate=rate).words
    assert batch["words"].tolist() == [[b""] * len(alone), [word.text.encode() for word in alone]]
    assert batch["word_times"][0].tolist() == [[0, 0]] * len(alone)
    assert batch["word_times"][1].tolist() == [[word.start_seconds, word.end_seconds] for word in alone]


def test_silence_has_no_words_alone_and_in_a_request_of_several_rows(client):
    silence = {"question_audio": np.zeros((2, 16_000), np.float32), "sample_rate": np.full((2, 1), 16_000, np.int32)}
    batch = infer(client.triton, "speech_to_text", outputs=["words", "word_times"], **silence)
    assert (batch["words"].shape, batch["word_times"].shape) == ((2, 0), (2, 0, 2))
    assert client.transcribe_words(silence["question_audio"][0], sample_rate=16_000).words == ()


@pytest.mark.parametrize("output", ["question", "words", "word_times"])
def test_each_output_of_a_transcription_can_be_requested_alone(client, example_question, output):
    samples, rate = example_question
    inputs = {"question_audio": samples, "sample_rate": np.array([rate], np.int32)}
    assert set(infer(client.triton, "speech_to_text", outputs=[output], **inputs)) == {output}


def test_words_of_the_context_are_biased_in_a_batch_too(client):
    said = "where is zogtar"
    log_probs = misheard("where is sogtar", said)
    sound = {"log_probs": log_probs[None], "log_probs_length": np.array([[len(log_probs)]], np.int32)}
    about_zogtar = sound | {"context": b"The heirs of Zogtar built it."}
    questions = [
        answer["question"].item().decode()
        for answer in infer_together(client.triton, "ctc_decoder", [about_zogtar, sound] * 3)
    ]
    assert questions[::2] == [said] * 3
    assert len(set(questions[1::2])) == 1 and "zogtar" not in questions[1]


def test_silence_is_an_empty_question_and_gets_the_fallback_answer(client):
    answer = client.ask(np.zeros(16_000, np.float32), sample_rate=16_000, context=CONTEXTS[0])
    assert (answer.question, answer.answer, answer.answer_span, answer.answer_score) == ("", "", (-1, -1), 0.0)
    assert len(answer.answer_audio) > 0


def test_the_same_seed_gives_the_same_audio_and_another_seed_another(client):
    first, again, other = (client.speak("Hello there.", seed=seed).answer_audio for seed in (1, 1, 2))
    np.testing.assert_allclose(first, again, atol=TOLERANCES["answer_audio"])
    assert np.abs(first - other).max() > 0


def test_an_answer_in_the_middle_of_a_long_context_is_found_with_its_exact_span(client):
    filler = "Zoë's café stands in the old town, and many people like to meet there. "
    context = filler * 150 + "The bridge was built by Ivan Horvat. " + filler * 150
    answer = client.answer_text("who built the bridge", context)
    start, end = answer.answer_span
    assert answer.answer == context[start:end] == "Ivan Horvat"
