"""The client of a convai server."""

from convai.client.answer import Answer, AnswerChunk, Transcription, Word
from convai.client.async_client import AsyncConvaiClient
from convai.client.client import ConvaiClient
from convai.client.connection import Tls
from convai.client.errors import ConvaiError, InvalidInput, Overloaded, ServerError, ServerUnreachable, TimedOut
from convai.client.listen_events import (
    Answered,
    Answering,
    Caption,
    Event,
    Failed,
    NothingAsked,
    SpeechEnded,
    SpeechStarted,
    StepsTimed,
    Transcribed,
)
from convai.client.step_by_step import StepByStep, Walk

__all__ = [
    "Answer",
    "AnswerChunk",
    "Answered",
    "Answering",
    "AsyncConvaiClient",
    "Caption",
    "ConvaiClient",
    "ConvaiError",
    "Event",
    "Failed",
    "InvalidInput",
    "NothingAsked",
    "Overloaded",
    "ServerError",
    "ServerUnreachable",
    "SpeechEnded",
    "SpeechStarted",
    "StepByStep",
    "StepsTimed",
    "TimedOut",
    "Tls",
    "Transcribed",
    "Transcription",
    "Walk",
    "Word",
]
