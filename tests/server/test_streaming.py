"""The claims about streams, on a real tritonserver."""

import asyncio
from contextlib import closing
from threading import Event

import numpy as np
import pytest
import soundfile
import tritonclient.grpc as triton
from support.sounds import chirp

from benchmarks.speed.in_process import load_network, load_python_step
from convai.__main__ import main
from convai.backends.steps.mel_splitter import MelSplitter
from convai.client import AsyncConvaiClient, InvalidInput
from convai.client.step_times import counters, requests_between, settled_counters
from convai.description.pipeline import VOICE_HOP_LENGTH
from convai.generator.profiles import PROFILES

TEXT = (
    "The rainforest covers most of the basin, and nine countries share it. It is the largest of its kind; more than"
    " half of what remains of all rainforests on the planet stands there, with sixteen thousand species of trees."
    " Who has counted them? Nobody knows.\n\nThe bees, however, fly north in spring."
)
AUDIO_TOLERANCE = 1e-3
FADE_SAMPLES = 110


def joined(chunks):
    return np.concatenate([chunk.answer_audio for chunk in chunks])


@pytest.fixture(scope="module")
def spoken(client):
    """The chunks of `TEXT`."""
    return list(client.speak_stream(TEXT))


def test_a_streamed_answer_tells_what_the_whole_one_tells(client, example_question, example_context):
    samples, rate = example_question
    whole = client.ask(samples, sample_rate=rate, context=example_context)
    chunks = list(client.ask_stream(samples, sample_rate=rate, context=example_context))
    first = chunks[0]
    assert (first.question, first.answer, first.answer_span) == (whole.question, whole.answer, whole.answer_span)
    assert first.answer_score == pytest.approx(whole.answer_score, abs=1e-4)
    assert chunks[-1].is_last
    assert 0.5 * whole.seconds < sum(chunk.seconds for chunk in chunks) < 1.2 * whole.seconds


def test_a_question_without_an_answer_is_told_so_aloud(client):
    chunks = list(client.ask_stream(chirp(1.0), sample_rate=16_000, context="Nothing was said."))
    assert (chunks[0].answer, chunks[0].answer_span) == ("", (-1, -1))
    assert sum(chunk.seconds for chunk in chunks) > 1


def test_a_text_comes_in_numbered_chunks_of_which_the_last_says_so(spoken):
    assert [chunk.chunk_index for chunk in spoken] == list(range(len(spoken)))
    assert [chunk.is_last for chunk in spoken] == [False] * (len(spoken) - 1) + [True]
    assert len(spoken) >= 4


def test_the_first_chunk_is_there_before_the_others_are_made(client):
    before = counters(client)
    with closing(client.speak_stream(TEXT * 3)) as chunks:
        next(chunks)
        after = counters(client)
        num_chunks = 1 + len(list(chunks))
    assert requests_between(before, after, "waveglow") < num_chunks / 2


def test_pieces_joined_are_the_sound_of_the_phrase_spoken_in_one(model_repository):
    steps = {name: load_python_step(name, model_repository, "cpu") for name in ("text_encoder", "audio_trimmer")}
    networks = {name: load_network(name, model_repository, "cpu", 2) for name in ("tacotron2", "waveglow")}
    text = {"text": np.array([[b"the rainforest covers most of the basin, and nine countries share it."]], np.object_)}
    mel = networks["tacotron2"](steps["text_encoder"](text))

    def spoken_by(splitter):
        pieces = [
            {name: np.asarray(value)[None] for name, value in piece.items()}
            for piece in splitter(
                **{name: array[0] for name, array in mel.items()},
                **{"pause_seconds": np.zeros(1, np.float32), "phrase_index": np.zeros(1, np.int32)},
                **{"is_last_phrase": np.ones(1, bool), "question": "", "answer": ""},
                **{"answer_score": np.zeros(1, np.float32), "answer_span": np.zeros(2, np.int32)},
            )
        ]
        audio = []
        for piece in pieces:
            vocoded = networks["waveglow"]({name: piece[name] for name in ("padded_mel", "z")})
            kept = {name: piece[name] for name in ("padded_mel", "kept_frames", "fades", "gain", "pause_seconds")}
            made = steps["audio_trimmer"]({**vocoded, **kept, "mel_length": piece["piece_length"]})
            audio.append(made["answer_audio"][0])
        return audio

    parameters = PROFILES["cpu"].settings["mel_splitter"].parameters
    whole = spoken_by(MelSplitter(**parameters | {"first_frames": 1280}))
    pieces = spoken_by(MelSplitter(**parameters))
    assert len(whole) == 1 and len(pieces) >= 3
    assert np.abs(np.concatenate(pieces) - whole[0]).max() < AUDIO_TOLERANCE


def test_a_sentence_has_the_samples_of_the_whole_call_but_for_its_level(client):
    sentence = "The rainforest covers most of the basin, and nine countries share it."
    whole, chunks = client.speak(sentence).answer_audio, list(client.speak_stream(sentence))
    assert len(chunks) >= 3
    streamed = joined(chunks)[FADE_SAMPLES:-FADE_SAMPLES]
    places = range(FADE_SAMPLES, len(whole) - len(streamed), VOICE_HOP_LENGTH)  # it begins with one of the frames
    parts = [whole[place : place + len(streamed)] for place in places]
    errors = [np.abs(streamed - np.vdot(part, streamed) / np.vdot(part, part) * part).max() for part in parts]
    assert min(errors) < AUDIO_TOLERANCE


def test_no_join_makes_a_step_above_those_of_the_speech(spoken):
    steps = np.abs(np.diff(joined(spoken)))
    for join in np.cumsum([len(chunk.answer_audio) for chunk in spoken])[:-1]:
        around = steps[join - 1000 : join + 1000]
        assert steps[join - 1] <= np.sort(around)[-20]  # not among the steepest of the 90 ms around it


def test_a_pause_follows_a_phrase_as_its_punctuation_wants(spoken):
    silences = [np.argmax(chunk.answer_audio[::-1] != 0) / chunk.sample_rate for chunk in spoken]
    assert silences[0] < 0.01  # in mid-phrase
    assert max(silences) == pytest.approx(0.8, abs=0.01)  # between the paragraphs
    assert silences[-1] < 0.01


def test_a_stream_depends_on_its_request_alone(server, client, spoken):
    async def together():
        async with AsyncConvaiClient(server.grpc_address) as client:
            return await asyncio.gather(
                *(chunks_of(client, text) for text in [TEXT, *(TEXT[i:] for i in range(40, 47))])
            )

    async def chunks_of(client, text):
        return [chunk async for chunk in client.speak_stream(text)]

    with_others = asyncio.run(together())
    assert len(with_others) == 8 and all(chunks[-1].is_last for chunks in with_others)
    assert joined(with_others[0]).shape == joined(spoken).shape
    assert np.abs(joined(with_others[0]) - joined(spoken)).max() < AUDIO_TOLERANCE


def test_whoever_stops_listening_stops_the_work_that_has_not_begun(client):
    before = counters(client)
    with closing(client.speak_stream(TEXT * 20)) as chunks:
        next(chunks)
    client.speak("When this has been spoken, what was sent before it is through the queues.")
    ran = requests_between(before, settled_counters(client, before, ["text_encoder"], 2), "waveglow")
    assert ran <= 8


def test_a_text_without_a_word_and_one_too_long_are_refused(client):
    with pytest.raises(InvalidInput, match=r"^phrase_splitter: got a text of 3 characters without a word"):
        next(client.speak_stream("..."))
    with pytest.raises(InvalidInput, match=r"^phrase_splitter: .* 100001 characters; allowed are at most 100000"):
        next(client.speak_stream("a" * 100_001))


def test_many_refused_streams_do_the_server_no_harm(server, client):
    process = server.process.pid
    for _ in range(40):
        with pytest.raises(InvalidInput):
            next(client.speak_stream("..."))
    assert server.process.pid == process and list(client.speak_stream("It is still here."))


def test_a_text_too_long_to_be_spoken_whole_is_told_the_call_that_takes_it(client):
    with pytest.raises(InvalidInput, match="at most 600.*text_to_speech_stream takes longer texts"):
        client.speak(TEXT * 4)


def test_the_step_alone_sends_all_phrases_at_once_to_whoever_takes_no_tickets(server):
    arrived, is_over = [], Event()

    def take(result, error):
        arrived.append(error or result.as_numpy("phrase").item().decode())
        if error or result.get_response().parameters["triton_final_response"].bool_param:
            is_over.set()

    text = triton.InferInput("text", [1, 1], "BYTES")
    text.set_data_from_numpy(np.array([[TEXT.encode()]], np.object_))
    with triton.InferenceServerClient(server.grpc_address) as caller:
        caller.start_stream(take)
        outputs = [triton.InferRequestedOutput("phrase")]
        caller.async_stream_infer("phrase_splitter", [text], outputs=outputs, enable_empty_final_response=True)
        assert is_over.wait(10)
    assert arrived[0].startswith("the rainforest covers most of the basin")
    assert arrived[1:] == ["nobody knows.", "the bees, however, fly north in spring."]


def test_speak_writes_a_file_and_shows_how_far_it_is(server, tmp_path, capsys, spoken):
    text, speech = tmp_path / "text.txt", tmp_path / "speech.wav"
    text.write_text(TEXT)
    assert main(["speak", "--text", str(text), "--out", str(speech), "--server", server.grpc_address]) == 0
    audio, rate = soundfile.read(speech, dtype="float32")
    assert rate == 22_050
    assert np.abs(audio - joined(spoken)).max() < AUDIO_TOLERANCE
    assert f"{speech}, {len(audio) / rate:.1f} s" in capsys.readouterr().out


def test_speak_leaves_an_old_file_alone_if_the_text_is_refused(server, tmp_path, capsys):
    text, speech = tmp_path / "text.txt", tmp_path / "speech.wav"
    text.write_text("...")
    speech.write_text("old")
    assert main(["speak", "--text", str(text), "--out", str(speech), "--server", server.grpc_address]) == 1
    assert "without a word" in capsys.readouterr().err
    assert speech.read_text() == "old"
