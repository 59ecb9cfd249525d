"""The claims about streams, on a real tritonserver."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import numpy as np
import psutil
import pytest
import soundfile
import tritonclient.grpc as triton
from support.sounds import chirp
from support.triton_requests import infer
from tritonclient.utils import InferenceServerException

from convai.__main__ import main
from convai.backends.management.processes import stubs_of
from convai.backends.runtime.flow_control import MESSAGE
from convai.client import AsyncConvaiClient, InvalidInput
from convai.client.steps import requests_between
from convai.description.pipeline import NUM_MELS, VOICE_HOP_LENGTH

TEXT = (
    "The rainforest covers most of the basin, and nine countries share it. It is the largest of its kind; more than"
    " half of what remains of all rainforests on the planet stands there, with sixteen thousand species of trees."
    " Who has counted them? Nobody knows.\n\nThe bees, however, fly north in spring."
)
AUDIO_TOLERANCE = 1e-3
FADE_SAMPLES = 110
NO_SPEECH = {
    "audio": np.zeros(VOICE_HOP_LENGTH, np.float32),
    "padded_mel": np.zeros((1, NUM_MELS, 1), np.float32),
    "mel_length": np.ones(1, np.int32),
}


def concatenate(chunks):
    return np.concatenate([chunk.answer_audio for chunk in chunks])


@pytest.fixture(scope="module")
def spoken(client):
    """The chunks of `TEXT`."""
    return list(client.speak_stream(TEXT))


def test_a_streamed_answer_has_the_outputs_of_the_whole_one(client, example_question, example_context):
    samples, rate = example_question
    whole = client.ask(samples, sample_rate=rate, context=example_context)
    chunks = list(client.ask_stream(samples, sample_rate=rate, context=example_context))
    first = chunks[0]
    assert (first.question, first.answer, first.answer_span) == (whole.question, whole.answer, whole.answer_span)
    assert first.answer_score == pytest.approx(whole.answer_score, abs=1e-4)
    assert chunks[-1].is_last
    assert 0.5 * whole.seconds < sum(chunk.seconds for chunk in chunks) < 1.2 * whole.seconds


def test_a_question_without_an_answer_has_a_spoken_fallback(client):
    chunks = list(client.ask_stream(chirp(1.0), sample_rate=16_000, context="Nothing was said."))
    assert (chunks[0].answer, chunks[0].answer_span) == ("", (-1, -1))
    assert sum(chunk.seconds for chunk in chunks) > 1


def test_chunks_are_numbered_and_the_last_is_marked(spoken):
    assert [chunk.chunk_index for chunk in spoken] == list(range(len(spoken)))
    assert [chunk.is_last for chunk in spoken] == [False] * (len(spoken) - 1) + [True]
    assert len(spoken) >= 4


def test_the_first_chunk_arrives_before_the_others_are_made(client):
    before = client.read_counters()
    with closing(client.speak_stream(TEXT * 3)) as chunks:
        next(chunks)
        after = client.read_counters()
        num_chunks = 1 + len(list(chunks))
    assert requests_between(before, after, "waveglow") < num_chunks / 2


def test_a_sentence_has_the_samples_of_the_whole_call_but_for_its_level(client):
    sentence = "The rainforest covers most of the basin, and nine countries share it."
    whole, chunks = client.speak(sentence).answer_audio, list(client.speak_stream(sentence))
    assert len(chunks) >= 3
    streamed = concatenate(chunks)[FADE_SAMPLES:-FADE_SAMPLES]
    places = range(FADE_SAMPLES, len(whole) - len(streamed), VOICE_HOP_LENGTH)  # it begins with one of the frames
    parts = [whole[place : place + len(streamed)] for place in places]
    errors = [np.abs(streamed - np.vdot(part, streamed) / np.vdot(part, part) * part).max() for part in parts]
    assert min(errors) < AUDIO_TOLERANCE


def test_the_pause_after_a_phrase_depends_on_its_punctuation(spoken):
    silences = [np.argmax(chunk.answer_audio[::-1] != 0) / chunk.sample_rate for chunk in spoken]
    assert silences[0] < 0.01  # in mid-phrase
    assert max(silences) == pytest.approx(0.8, abs=0.01)  # between the paragraphs
    assert silences[-1] < 0.01


def test_a_stream_depends_on_its_request_alone(server, client, spoken):
    async def speak_together():
        async with AsyncConvaiClient(server.grpc_address) as client:
            return await asyncio.gather(
                *(chunks_of(client, text) for text in [TEXT, *(TEXT[i:] for i in range(40, 43))])
            )

    async def chunks_of(client, text):
        return [chunk async for chunk in client.speak_stream(text)]

    with_others = asyncio.run(speak_together())
    assert len(with_others) == 4 and all(chunks[-1].is_last for chunks in with_others)
    assert concatenate(with_others[0]).shape == concatenate(spoken).shape
    assert np.abs(concatenate(with_others[0]) - concatenate(spoken)).max() < AUDIO_TOLERANCE


def test_a_closed_stream_stops_the_work_that_has_not_begun(client):
    before = client.read_counters()
    with closing(client.speak_stream(TEXT * 20)) as chunks:
        next(chunks)
    client.speak("The queues are empty once this has been spoken.")
    ran = requests_between(before, client.wait_for_counters(before, ["text_encoder"], 2), "waveglow")
    assert ran <= 8


def test_speed_divides_the_length_of_a_whole_text_and_of_a_stream(client, spoken):
    whole, fast = client.speak(TEXT[:40]), client.speak(TEXT[:40], speed=2)
    assert fast.seconds == pytest.approx(whole.seconds / 2, abs=0.01)
    assert np.std(fast.answer_audio) == pytest.approx(np.std(whole.answer_audio), rel=0.2)
    seconds = sum(chunk.seconds for chunk in spoken)
    assert sum(chunk.seconds for chunk in client.speak_stream(TEXT, speed=2)) == pytest.approx(seconds / 2, rel=0.1)


def test_a_text_without_a_word_and_one_too_long_are_refused(client):
    with pytest.raises(InvalidInput, match=r"^phrase_splitter: text: expected at least one word"):
        next(client.speak_stream("..."))
    with pytest.raises(InvalidInput, match=r"^phrase_splitter: text: expected at most 100000 characters, got 100001"):
        next(client.speak_stream("a" * 100_001))


def test_the_refusal_of_a_long_text_names_the_ensemble_that_takes_it(client):
    with pytest.raises(InvalidInput, match="at most 600.*text_to_speech_stream takes longer texts"):
        client.speak(TEXT * 4)


def test_neither_forged_credits_nor_datagrams_disturb_the_stream_of_another(server, client, spoken):
    """What a caller of the single steps can do, and what another program of this machine can."""
    addresses = flow_control_addresses(server)
    assert len(addresses) >= 2
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(lambda: list(client.speak_stream(TEXT)))
        for address in addresses * 3:
            for datagram in (b"", b"x", bytes(MESSAGE.size), bytes(1000)):
                send_datagram(address, datagram)
            number = int(address.rpartition("-")[2])
            with triton.InferenceServerClient(server.grpc_address) as caller, suppress(InferenceServerException):
                infer(caller, "audio_trimmer", **NO_SPEECH, stream_ticket=np.array([number, 1, 0]))
        chunks = stream.result(60)
    assert [chunk.chunk_index for chunk in chunks] == list(range(len(spoken)))
    assert np.abs(concatenate(chunks) - concatenate(spoken)).max() < AUDIO_TOLERANCE


def flow_control_addresses(server):
    sockets = [
        each for stub in stubs_of(server.process.pid) for each in psutil.Process(stub.pid).net_connections("unix")
    ]
    return [f"\0{each.laddr[1:]}" for each in sockets if "convai-flow-control" in each.laddr]


def send_datagram(address, datagram):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.settimeout(5)
        sender.sendto(datagram, address)


def test_speak_writes_a_file_and_shows_its_progress(server, tmp_path, capsys, spoken):
    text, speech = tmp_path / "text.txt", tmp_path / "speech.wav"
    text.write_text(TEXT)
    assert main(["speak", "--text", str(text), "--out", str(speech), "--server", server.grpc_address]) == 0
    audio, rate = soundfile.read(speech, dtype="float32")
    assert rate == 22_050
    assert np.abs(audio - concatenate(spoken)).max() < AUDIO_TOLERANCE
    assert f"{speech}, {len(audio) / rate:.1f} s" in capsys.readouterr().out


def test_speak_keeps_an_existing_file_if_the_text_is_refused(server, tmp_path, capsys):
    text, speech = tmp_path / "text.txt", tmp_path / "speech.wav"
    text.write_text("...")
    speech.write_text("old")
    assert main(["speak", "--text", str(text), "--out", str(speech), "--server", server.grpc_address]) == 1
    assert "expected at least one word" in capsys.readouterr().err
    assert speech.read_text() == "old"
