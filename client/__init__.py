"""Everything a caller of the server needs."""

from convai.client.answer import Answer
from convai.client.async_client import AsyncConvaiClient
from convai.client.client import ConvaiClient
from convai.client.connection import Tls
from convai.client.errors import ConvaiError, InvalidInput, Overloaded, ServerError, ServerUnreachable, TimedOut
from convai.client.step_by_step import StepByStep, Walk

__all__ = [
    "Answer",
    "AsyncConvaiClient",
    "ConvaiClient",
    "ConvaiError",
    "InvalidInput",
    "Overloaded",
    "ServerError",
    "ServerUnreachable",
    "StepByStep",
    "TimedOut",
    "Tls",
    "Walk",
]
