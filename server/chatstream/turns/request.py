"""The request's body: read within limits of time and size before anything is taken, then checked."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request

from chatstream.errors import BodyTimeout, BodyTooLarge, InvalidJSON, InvalidRequest
from chatstream.turns.options import TurnLimits

Body = bytes | str | Mapping[str, Any]
_FORM_WORDS = {"true": True, "1": True, "on": True, "false": False, "0": False, "": False}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """`user_input` is "" where `regenerate` asks for the last reply anew."""

    user_input: str
    regenerate: bool


async def read_chat_request(request: Request, given: Body | None, limits: TurnLimits) -> ChatRequest:
    """From the body that the endpoint passes on, else from the request (read already or not).

    Raises BodyTooLarge, BodyTimeout, InvalidJSON, InvalidRequest; ClientDisconnect of starlette.
    """
    return parse_chat_request(await _read(request, limits) if given is None else given, limits.body_bytes)


async def _read(request: Request, limits: TurnLimits) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_timeout):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limits.body_bytes:
                    raise _too_large(limits.body_bytes)
    except TimeoutError:
        raise BodyTimeout(f"The body was not there within {limits.body_timeout:g} s.") from None
    return bytes(body)


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {most} bytes.")


def parse_chat_request(body: Body, most: int) -> ChatRequest:
    data = _decode(body, most) if isinstance(body, bytes | str) else body
    if not isinstance(data, Mapping):
        raise InvalidRequest("The body must be a JSON object with `user_input` and `regenerate`.")
    regenerate = data.get("regenerate", False)
    if isinstance(data, FormData) and isinstance(regenerate, str):
        regenerate = _FORM_WORDS.get(regenerate.lower(), regenerate)
    if not isinstance(regenerate, bool):
        raise InvalidRequest("`regenerate` must be true or false.")
    return ChatRequest("" if regenerate else _user_input(data), regenerate)


def _decode(body: bytes | str, most: int) -> object:
    raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    if len(raw) > most:
        raise _too_large(most)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidJSON("The body is not JSON.") from None


def _user_input(data: Mapping[str, Any]) -> str:
    text = data.get("user_input")
    if not isinstance(text, str) or not text.strip():
        raise InvalidRequest("`user_input` must be a string that is not blank.")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("`user_input` is not valid Unicode: it has half of a surrogate pair.") from None
    return text
