"""Transcribes recordings of any length: several segments in flight at once, the results in order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

from convai.arrays import Array
from convai.client.answer import Transcription, Word
from convai.client.async_client import AsyncConvaiClient
from convai.client.audio_decoding import Source, stream_audio
from convai.client.errors import Overloaded
from convai.client.listen import cancel_tasks
from convai.client.requests import ask_request
from convai.client.segments import AudioSegment, cut_recording
from convai.client.turns import SileroDetector
from convai.description.pipeline import SAMPLE_RATE_HERTZ

MAX_SECONDS = 3 * 3600.0
SEGMENTS_IN_FLIGHT = 4
BLOCKS_AT_ONCE = 20  # 10 s; after each such run the decoding asks whether it goes on
ATTEMPTS, RETRY_SECONDS = 30, 1.0  # of a segment that a busy server refuses, but for the first


@dataclass(frozen=True)
class Segment:
    """The transcript of a part of a recording.

    Attributes
    ----------
    text : in lower case; empty if nothing was understood
    start_seconds, end_seconds : where the speech begins and ends
    speech_probability : the voice activity detector's, averaged
    has_speech : whether the detector found speech
    words : with their times, if they were requested
    """

    text: str
    start_seconds: float
    end_seconds: float
    speech_probability: float
    has_speech: bool
    words: tuple[Word, ...] = ()


class Recording:
    """The content of an audio file that is transcribed while it is decoded.

    Attributes
    ----------
    seconds : how much of it has been decoded; in the end its length
    """

    def __init__(self, client: AsyncConvaiClient, source: Source, prompt: str = "", *, with_words: bool = False):
        self.client = client
        self.source = source
        self.prompt = prompt
        self.with_words = with_words
        self.seconds = 0.0

    def segments(self) -> AsyncGenerator[Segment]:
        """Transcribe it. Results as of `transcribe_segments`.

        Raises
        ------
        InvalidArgument : not audio, shorter than 0.1 s or longer than 3 h; the message omits the file's name
        """
        cut = cut_recording(self._blocks(), SileroDetector())
        return transcribe_segments(self.client, cut, self.prompt, with_words=self.with_words)

    def _blocks(self) -> Iterator[Array]:
        for block in stream_audio(self.source, MAX_SECONDS):
            self.seconds += len(block) / SAMPLE_RATE_HERTZ
            yield block


async def transcribe_segments(
    client: AsyncConvaiClient, cut: Iterator[list[AudioSegment]], prompt: str = "", *, with_words: bool = False
) -> AsyncGenerator[Segment]:
    """Transcribe segments of audio as they are cut, a few at once, and yield the transcripts in order.

    Closing the generator cancels what is in flight and decodes no further.

    Parameters
    ----------
    cut : of `cut_recording`
    prompt : a text that biases the recogniser to its words
    with_words : find the times of the words; the recogniser then ignores `prompt`
    """
    pending: deque[asyncio.Task[Segment]] = deque()
    is_first = True
    try:
        while (pieces := await asyncio.to_thread(take_pieces, cut)) is not None:
            for piece in pieces:
                if len(pending) == SEGMENTS_IN_FLIGHT:
                    yield await pending.popleft()
                pending.append(asyncio.create_task(transcribe_piece(client, piece, prompt, is_first, with_words)))
                is_first = False
            while pending and pending[0].done():
                yield await pending.popleft()
        while pending:
            yield await pending.popleft()
    finally:
        await cancel_tasks(*pending)


def take_pieces(cut: Iterator[list[AudioSegment]]) -> list[AudioSegment] | None:
    """Return the next segments; an empty list if there is none yet, None after the last."""
    for number, pieces in enumerate(cut, 1):
        if pieces or number == BLOCKS_AT_ONCE:
            return pieces
    return None


async def transcribe_piece(
    client: AsyncConvaiClient, piece: AudioSegment, prompt: str, is_first: bool, with_words: bool
) -> Segment:
    """Transcribe one segment. All but the first wait for a busy server: what is transcribed already would be lost."""
    attempts = 1 if is_first else ATTEMPTS
    while True:
        try:
            transcript = await recognise(client, piece, prompt, with_words)
            break
        except Overloaded:
            attempts -= 1
            if not attempts:
                raise
            await asyncio.sleep(RETRY_SECONDS)
    begin = piece.audio_start_seconds
    words = tuple(Word(one.text, begin + one.start_seconds, begin + one.end_seconds) for one in transcript.words)
    span = piece.start_seconds, piece.end_seconds
    return Segment(transcript.text, *span, piece.speech_probability, piece.has_speech, words)


async def recognise(client: AsyncConvaiClient, piece: AudioSegment, prompt: str, with_words: bool) -> Transcription:
    """Call the recogniser; times are those within the audio of the segment."""
    if with_words:
        return await client.transcribe_words(piece.audio, sample_rate=SAMPLE_RATE_HERTZ)
    if not prompt.strip():
        return Transcription(await client.transcribe(piece.audio, sample_rate=SAMPLE_RATE_HERTZ), ())
    request = ask_request(piece.audio, SAMPLE_RATE_HERTZ, prompt, outputs=["question"])
    return Transcription((await client.answer(request)).question or "", ())


def join_texts(segments: list[Segment]) -> str:
    return " ".join(segment.text for segment in segments if segment.text)


def as_srt(segments: list[Segment]) -> str:
    """Return SubRip subtitles."""
    spoken = [segment for segment in segments if segment.text]
    return "\n".join(f"{i}\n{_span(segment, ',')}\n{segment.text}\n" for i, segment in enumerate(spoken, 1))


def as_vtt(segments: list[Segment]) -> str:
    """Return WebVTT subtitles."""
    return "WEBVTT\n" + "".join(f"\n{_span(segment, '.')}\n{segment.text}\n" for segment in segments if segment.text)


def _span(segment: Segment, mark: str) -> str:
    return f"{_clock(segment.start_seconds, mark)} --> {_clock(segment.end_seconds, mark)}"


def _clock(seconds: float, mark: str) -> str:
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{mark}{milliseconds:03}"
