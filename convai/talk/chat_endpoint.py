"""OpenAI's POST /v1/chat/completions, for agents: the answer to the last message is a part of the system messages.

Nothing is generated: the answer is extracted from the text, or is the sentence that says that there is none.
"""

import time
from collections.abc import AsyncIterator
from typing import Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from convai.talk.errors import BadRequest
from convai.talk.responses import encode_event, run_while_connected

router = APIRouter(tags=["OpenAI"])
TEXT_ROLES = ("system", "developer")
MAX_MODEL_CHARACTERS = 256  # it is sent back


class Part(BaseModel):
    type: str
    text: str | None = None


class Message(BaseModel):
    role: str
    content: str | list[Part] | None = None


class StreamOptions(BaseModel):
    include_usage: bool | None = None


class ChatRequest(BaseModel):
    messages: list[Message] = Field(
        description="the last `user` message is the question, all `system` and `developer` messages are the text"
    )
    model: str | None = Field("question_answering", description="ignored", max_length=MAX_MODEL_CHARACTERS)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: int | None = Field(1, description="only 1")
    modalities: list[str] | None = Field(None, description="only text")
    response_format: dict[str, Any] | None = Field(None, description="only text")
    tool_choice: Any = Field(None, description="`auto` or `none`; tools are accepted and never called")


class AssistantMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str = Field(description="a part of the text, verbatim, or a sentence that says that there is no answer")
    refusal: None = None


class Choice(BaseModel):
    index: Literal[0] = 0
    message: AssistantMessage
    logprobs: None = None
    finish_reason: Literal["stop"] = "stop"


class Usage(BaseModel):
    prompt_tokens: int = Field(description="words of question and text")
    completion_tokens: int = Field(description="words of the answer")
    total_tokens: int


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


@router.post("/v1/chat/completions", response_model=ChatCompletion)
async def complete(request: Request, body: ChatRequest) -> Response | ChatCompletion:
    """Answer the last message from the text of the system messages.

    Other parameters, such as `temperature`, are accepted and ignored. With `stream`, server-sent events.
    """
    check_options(body)
    question, text = find_question(body.messages), find_text(body.messages)
    answer = await run_while_connected(request, request.app.state.client.answer_text(question, text))
    if isinstance(answer, Response):
        return answer
    content = answer.answer or answer.sentence
    counts = len(question.split()) + len(text.split()), len(content.split())
    completion = ChatCompletion(
        id=f"chatcmpl-{uuid4().hex}",
        created=int(time.time()),
        model=body.model or "question_answering",
        choices=[Choice(message=AssistantMessage(content=content))],
        usage=Usage(prompt_tokens=counts[0], completion_tokens=counts[1], total_tokens=sum(counts)),
    )
    if not body.stream:
        return completion
    with_usage = bool(body.stream_options and body.stream_options.include_usage)
    return StreamingResponse(encode_chunks(completion, with_usage), media_type="text/event-stream")


def check_options(body: ChatRequest) -> None:
    """Refuse what would mislead if it were ignored."""
    if body.n not in (None, 1):
        raise BadRequest(f"n: expected 1, because there is one answer, got {body.n}", "n")
    if body.tool_choice not in (None, "auto", "none"):
        given = f"{body.tool_choice!r:.50}"
        raise BadRequest(f"tool_choice: expected auto or none, as no tool is ever called, got {given}", "tool_choice")
    kind = (body.response_format or {}).get("type", "text")
    if kind != "text":
        raise BadRequest(f"response_format: expected text, got {kind!r:.50}", "response_format")
    if set(body.modalities or ()) - {"text"}:
        raise BadRequest(f"modalities: expected text alone, got {body.modalities!r:.50}", "modalities")


def find_question(messages: list[Message]) -> str:
    for message in reversed(messages):
        if message.role == "user":
            return read_text(message)
    raise BadRequest("messages: expected a user message with the question, got none", "messages")


def find_text(messages: list[Message]) -> str:
    text = "\n\n".join(read_text(message) for message in messages if message.role in TEXT_ROLES)
    if not text.strip():
        raise BadRequest("messages: expected a system message with the text to answer from, got none", "messages")
    return text


def read_text(message: Message) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    for part in message.content:
        if part.type != "text" or part.text is None:
            raise BadRequest(f"messages: expected parts of type text with their text, got {part.type!r}", "messages")
    return "\n".join(part.text or "" for part in message.content)


async def encode_chunks(completion: ChatCompletion, with_usage: bool) -> AsyncIterator[str]:
    """Encode a completion as events; the answer is whole in one of them."""
    common = completion.model_dump(include={"id", "created", "model"}) | {"object": "chat.completion.chunk"}
    content = completion.choices[0].message.content
    for delta in ({"role": "assistant", "content": ""}, {"content": content}, {}):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None if delta else "stop"}
        yield encode_event(common | {"choices": [choice]} | ({"usage": None} if with_usage else {}))
    if with_usage:
        yield encode_event(common | {"choices": [], "usage": completion.usage.model_dump()})
    yield "data: [DONE]\n\n"
