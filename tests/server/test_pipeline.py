"""The claims about the whole pipeline, on a real tritonserver."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.sounds import chirp, misheard
from support.triton_requests import infer_together

from convai.client import AsyncConvaiClient, ConvaiClient
from convai.client.step_by_step import StepByStep
from convai.client.steps import requests_between
from convai.description.pipeline import ENSEMBLES
from convai.description.wiring import wiring_of

OUTPUTS = ENSEMBLES[0].outputs
STEPS = tuple(call.step for call in wiring_of("convai_ensemble").calls)
SUBSETS = [subset for size in range(1, 7) for subset in itertools.combinations(OUTPUTS, size)]
AUDIO_TOLERANCE = 1e-3
CONTEXTS = [
    "Ada wrote the first program.",
    "The river is 1,233 km long, and nobody has swum it all.",
    "Zoë’s café — opened in 1998 — is in Brno. " * 3,
    "The bridge was built by Ivan Horvat in 1931, after two others had failed. " * 12,
]


def executions(server):
    """Per step: how often it ran with which batch size, from Triton's statistics."""
    counts = {}
    for step in STEPS:
        statistics = server_statistics(server, step)
        counts[step] = {int(batch["batch_size"]): int(batch["compute_infer"]["count"]) for batch in statistics}
    return counts


def server_statistics(server, model):
    with ConvaiClient(server.grpc_address) as client:
        statistics = client.triton.get_inference_statistics(model, as_json=True)["model_stats"][0]
    return statistics.get("batch_stats", [])


def ran_between(before, after):
    return {
        step: {
            size: count - before[step].get(size, 0)
            for size, count in after[step].items()
            if count != before[step].get(size, 0)
        }
        for step in after
    }


def steps_needed(outputs):
    """Follow the wires backwards from the outputs."""
    calls = wiring_of("convai_ensemble").calls
    wanted, steps = set(outputs), set()
    for call in reversed(calls):
        if wanted & set(call.outputs.values()):
            steps.add(call.step)
            wanted |= set(call.inputs.values())
    return steps


def assert_same_answer(one, other):
    assert one.question == other.question
    assert one.answer == other.answer
    assert one.answer_span == other.answer_span
    assert one.answer_score == pytest.approx(other.answer_score, abs=1e-4)
    assert one.answer_audio.shape == other.answer_audio.shape
    np.testing.assert_allclose(one.answer_audio, other.answer_audio, atol=AUDIO_TOLERANCE)
    np.testing.assert_allclose(one.mel, other.mel, atol=1e-2)


def ask_together(server, questions):
    """Send all questions at the same moment; answers in their order."""
    with ConvaiClient(server.grpc_address) as client, ThreadPoolExecutor(len(questions)) as pool:
        futures = [pool.submit(client.ask, audio, sample_rate=rate, context=text) for audio, rate, text in questions]
        return [future.result() for future in futures]


def test_one_call_returns_every_output(client, example_question, example_context):
    samples, rate = example_question
    answer = client.ask(samples, sample_rate=rate, context=example_context)
    start, end = answer.answer_span
    assert answer.answer == (example_context[start:end] if start >= 0 else "")
    assert 0 <= answer.answer_score <= 1
    assert answer.mel.shape[0] == 80
    assert answer.answer_audio.shape == (answer.mel.shape[1] * 256,)
    assert np.abs(answer.answer_audio).max() <= 1


def test_each_subset_of_outputs_equals_the_same_part_of_the_whole(server):
    audio, context = chirp(1.0), CONTEXTS[0]
    with ConvaiClient(server.grpc_address) as client:
        whole = client.ask(audio, sample_rate=16_000, context=context)
        with ThreadPoolExecutor(4) as pool:
            parts = pool.map(
                lambda subset: client.ask(audio, sample_rate=16_000, context=context, outputs=subset), SUBSETS
            )
            for subset, part in zip(SUBSETS, parts, strict=True):
                for name in OUTPUTS:
                    value = getattr(part, name)
                    if name not in subset:
                        assert value is None
                    elif name in ("answer_audio", "mel"):
                        np.testing.assert_allclose(
                            value, getattr(whole, name), atol=1e-2 if name == "mel" else AUDIO_TOLERANCE
                        )
                    else:
                        assert value == (
                            pytest.approx(whole.answer_score, abs=1e-4)
                            if name == "answer_score"
                            else getattr(whole, name)
                        )


def counters_at_rest(client):
    """The counters once nothing more is counted: on a busy machine a step counts some time after it has answered."""
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


def test_requests_of_mixed_length_sent_together_get_what_they_get_alone(server, client):
    seconds = [1.3, 1.32, 1.34, 1.36, 1.38, 1.4, 1.42, 1.9]  # all but one share a bucket
    questions = [(chirp(s, seed=i), 16_000, CONTEXTS[0]) for i, s in enumerate(seconds)]
    alone = [client.ask(audio, sample_rate=rate, context=text) for audio, rate, text in questions]
    for one, other in zip(alone, ask_together(server, questions), strict=True):
        assert_same_answer(one, other)


def test_requests_sent_together_are_joined_by_every_step(server):
    questions = [(chirp(1.3 + 0.015 * i, seed=i), 16_000, CONTEXTS[0]) for i in range(8)]  # of one bucket
    largest = dict.fromkeys(STEPS, 0)
    for _ in range(5):  # how many of the eight meet in a step depends on the moment each arrives
        before = executions(server)
        ask_together(server, questions)
        for step, batches in ran_between(before, executions(server)).items():
            largest[step] = max(largest[step], *batches)
        if min(largest.values()) > 1 and largest["jasper"] >= 4:
            return
    pytest.fail(f"largest batch of each step: {largest}")


def test_requests_of_every_bucket_and_rate_sent_together_get_what_they_get_alone(server, client):
    seconds = [0.1, 0.6, 1.5, 2.2, 3.4, 4.6, 6.9, 9.0]
    rates = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]
    questions = [
        (chirp(length, rate, seed=i), rate, CONTEXTS[i % len(CONTEXTS)])
        for i, (length, rate) in enumerate(zip(seconds, rates, strict=True))
    ]
    alone = [client.ask(audio, sample_rate=rate, context=text) for audio, rate, text in questions]
    for one, other in zip(alone, ask_together(server, questions), strict=True):
        assert_same_answer(one, other)


def test_the_steps_called_one_by_one_give_what_the_ensemble_gives(client, example_question, example_context):
    samples, rate = example_question
    in_one_call = client.ask(samples, sample_rate=rate, context=example_context)
    one_by_one = StepByStep(client).ask(samples, sample_rate=rate, context=example_context)
    assert_same_answer(in_one_call, one_by_one.answer)


def test_the_smaller_ensembles_chained_give_what_the_large_one_gives(client, example_question, example_context):
    samples, rate = example_question
    whole = client.ask(samples, sample_rate=rate, context=example_context)
    question = client.transcribe(samples, sample_rate=rate)
    answer = client.answer_text(question, example_context)
    assert (question, answer.answer, answer.answer_span) == (whole.question, whole.answer, whole.answer_span)


def test_words_of_the_context_are_heard_by_the_decoder_alone_or_together(client):
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


def test_the_same_seed_gives_the_same_voice_and_another_seed_another_take(client):
    first, again, other = (client.speak("Hello there.", seed=seed).answer_audio for seed in (1, 1, 2))
    np.testing.assert_allclose(first, again, atol=AUDIO_TOLERANCE)
    assert np.abs(first - other).max() > 0


def test_a_long_context_slides_over_it_and_the_span_stays_exact(client):
    context = "".join(f"Room {number} is kept by Mr. Müller {number}. " for number in range(400))
    answer = client.answer_text("who keeps room 371", context)
    start, end = answer.answer_span
    assert answer.answer == (context[start:end] if start >= 0 else "")


async def test_the_async_client_gives_what_the_sync_one_gives(server, client):
    audio = chirp(1.0)
    async with AsyncConvaiClient(server.grpc_address) as asynchronous:
        answer = await asynchronous.ask(audio, sample_rate=16_000, context=CONTEXTS[0])
    assert_same_answer(client.ask(audio, sample_rate=16_000, context=CONTEXTS[0]), answer)
