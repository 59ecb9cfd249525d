"""The transcription, chat and model endpoints, called by OpenAI's own package."""

from dataclasses import replace

import httpx2
import openai
import pytest
from support.containers import sweep, write_recording
from support.fake_client import ANSWER, FakeClient

from convai.talk.app import make_app
from convai.talk.settings import Settings

MODELS = ["speech_to_text", "question_answering", "text_to_speech"]
FILE = ("recording.webm", write_recording("webm", sweep(1.5), 16_000))


@pytest.fixture
def fake():
    return FakeClient()


@pytest.fixture
async def client(fake):
    transport = httpx2.ASGITransport(make_app(fake, Settings()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield openai.AsyncOpenAI(base_url="http://127.0.0.1/v1", api_key="any", max_retries=0, http_client=http)


async def transcribe(client, **options):
    return await client.audio.transcriptions.create(model="whisper-1", file=FILE, **options)


async def test_every_response_format_is_understood(client):
    assert (await transcribe(client)).text == "1.50 s"
    assert await transcribe(client, response_format="text") == "1.50 s\n"
    assert "00:00:01,5" in await transcribe(client, response_format="srt")
    assert (await transcribe(client, response_format="vtt")).startswith("WEBVTT")


async def test_a_verbose_transcript_has_every_field_of_a_segment(client):
    found = await transcribe(client, response_format="verbose_json", timestamp_granularities=["segment"])
    assert found.usage.type == "duration" and float(found.duration) == pytest.approx(1.5, abs=0.1)
    (segment,) = found.segments
    fields = "id seek start end text tokens temperature avg_logprob compression_ratio no_speech_prob"
    assert all(getattr(segment, name) is not None for name in fields.split())


async def test_a_stream_brings_deltas_and_the_whole_text(client):
    events = [event async for event in await transcribe(client, stream=True)]
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[0].delta == events[1].text == "1.50 s"


async def test_options_that_are_none_are_as_if_left_out(client):
    names = ("language", "prompt", "response_format", "temperature", "stream", "timestamp_granularities")
    assert (await transcribe(client, **dict.fromkeys(names))).text == "1.50 s"


async def test_words_have_times(client):
    transcription = await transcribe(client, response_format="verbose_json", timestamp_granularities=["word"])
    assert [one.word for one in transcription.words] == transcription.text.split()
    assert transcription.words[0].start < transcription.words[0].end


async def test_models_are_listed_and_translations_are_not_found(client):
    assert [model.id async for model in client.models.list()] == MODELS
    assert (await client.models.retrieve("speech_to_text")).owned_by == "convai"
    with pytest.raises(openai.NotFoundError, match="got 'whisper-1'"):
        await client.models.retrieve("whisper-1")
    with pytest.raises(openai.NotFoundError, match="Nothing is translated here"):
        await client.audio.translations.create(model="whisper-1", file=FILE)


async def test_a_file_without_a_name_is_refused_with_a_sentence_or_understood(client):
    assert (await client.audio.transcriptions.create(model="whisper-1", file=FILE[1])).text == "1.50 s"


MESSAGES = [
    {"role": "system", "content": "A text."},
    {"role": "developer", "content": [{"type": "text", "text": "Another."}]},
    {"role": "user", "content": "What was the question before?"},
    {"role": "assistant", "content": "That."},
    {"role": "user", "content": [{"type": "text", "text": "Who?"}]},
]
IGNORED = {"temperature": 0.2, "max_completion_tokens": 9, "tools": [{"type": "function", "function": {"name": "f"}}]}


async def test_the_last_message_is_answered_from_the_system_messages(client, fake):
    found = await client.chat.completions.create(model="gpt-7", messages=MESSAGES, n=1, **IGNORED)
    ((_, request),) = fake.asked
    texts = {name: array.item().decode() for name, array in request.inputs.items()}
    assert texts == {"question": "Who?", "context": "A text.\n\nAnother."}
    assert (found.choices[0].message.content, found.choices[0].finish_reason) == (ANSWER.answer, "stop")
    assert (found.model, found.usage.total_tokens) == ("gpt-7", 1 + 3 + 2)
    assert found.id.startswith("chatcmpl-") and found.created > 0


async def test_without_an_answer_the_sentence_that_says_so_is_the_content(client, fake, monkeypatch):
    monkeypatch.setattr("support.fake_client.ANSWER", replace(ANSWER, answer="", sentence="Sorry."))
    found = await client.chat.completions.create(model="convai", messages=MESSAGES)
    assert found.choices[0].message.content == "Sorry."


async def test_a_streamed_completion_has_the_same_content_and_its_usage_if_asked(client):
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = [chunk async for chunk in await client.chat.completions.create(model="x", messages=MESSAGES, **options)]
    deltas = [chunk.choices[0].delta.content or "" for chunk in chunks[:-1]]
    assert "".join(deltas) == ANSWER.answer
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None, None, "stop"]
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 2
    assert len({chunk.id for chunk in chunks}) == 1


async def test_a_chat_without_a_text_raises_openais_error(client):
    with pytest.raises(openai.BadRequestError, match="expected a system message"):
        await client.chat.completions.create(model="x", messages=MESSAGES[2:])
