"""TGI's answers as bytes: header names, their order, the chunks of a stream. Pure but for the date."""

import json
import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from chatstream.engines.demo.plan import Plan
from chatstream.engines.demo.script import Token
from chatstream.engines.demo.server.batcher import Timings
from chatstream.engines.demo.server.request import Asked, Valid

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
KEEP_ALIVE: Final = b"3\r\n:\n\n\r\n"
BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: %s\r\n\r\n"
JSON: Final = ("content-type", "application/json")
TEXT: Final = ("content-type", "text/plain; charset=utf-8")
_CORS: Final = (
    ("vary", "origin, access-control-request-method, access-control-request-headers"),
    ("access-control-allow-origin", "*"),
)
# Python's names of two statuses have changed over its versions; TGI's have not.
_REASONS: Final = {413: "Payload Too Large", 422: "Unprocessable Entity"}

Headers = tuple[tuple[str, str], ...]


def http_date() -> str:
    return _format_date(int(time.time()))


@lru_cache(maxsize=1)
def _format_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def compact(value: object) -> str:
    """JSON as serde writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def build_answer(status: int, body: str = "", headers: Headers = (), *, late: Headers = ()) -> bytes:
    """A whole answer. `headers` are the handler's, `late` come from the router behind it."""
    content = body.encode()
    length = ("content-length", str(len(content)))
    return _head(status, (*headers, *_CORS, *late, length)) + content


def build_error(status: int, message: str, kind: str) -> bytes:
    return build_answer(status, compact({"error": message, "error_type": kind}), (JSON,))


def build_stream_head(compute_type: str, characters: int) -> bytes:
    headers = (
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("x-compute-type", compute_type),
        ("x-compute-characters", str(characters)),
        ("x-accel-buffering", "no"),
    )
    return _head(200, (*headers, *_CORS, ("transfer-encoding", "chunked")))


def build_event(value: object) -> bytes:
    """One event in a chunk of its own."""
    data = f"data: {compact(value)}\n\n".encode()
    return b"%X\r\n%s\r\n" % (len(data), data)


def build_token_event(index: int, token: Token, asked: Asked, valid: Valid, plan: Plan | None) -> bytes:
    """Token `index` (from 1); `plan` comes with the last one."""
    event: dict[str, Any] = {"index": index, "token": token_json(token)}
    if valid.top_n_tokens:
        event["top_tokens"] = _top_tokens(token, valid.top_n_tokens)
    event["generated_text"] = None if plan is None else full_text(asked, plan)
    event["details"] = None
    if plan is not None and asked.parameters["details"]:
        event["details"] = {
            "finish_reason": plan.finish_reason,
            "generated_tokens": len(plan.tokens),
            "seed": valid.seed,
            "input_length": valid.input_length,
        }
    return build_event(event)


def build_generation(asked: Asked, valid: Valid, plan: Plan) -> dict[str, Any]:
    """The body of /generate."""
    generation: dict[str, Any] = {"generated_text": full_text(asked, plan)}
    if asked.details:
        generation["details"] = _details(asked, valid, plan)
    return generation


def build_generation_headers(compute_type: str, asked: Asked, valid: Valid, end: Timings) -> Headers:
    return (
        JSON,
        ("x-compute-type", compute_type),
        ("x-compute-time", f"{end.total:.9f}".rstrip("0").rstrip(".")),
        ("x-compute-characters", str(len(asked.inputs))),
        ("x-total-time", _milliseconds(end.total)),
        ("x-validation-time", _milliseconds(end.validation)),
        ("x-queue-time", _milliseconds(end.queue)),
        ("x-inference-time", _milliseconds(end.inference)),
        ("x-time-per-token", _milliseconds(end.per_token)),
        ("x-prompt-tokens", str(valid.input_length)),
        ("x-generated-tokens", str(end.tokens)),
    )


def full_text(asked: Asked, plan: Plan) -> str:
    return asked.inputs + plan.text if asked.parameters["return_full_text"] else plan.text


def token_json(token: Token) -> dict[str, Any]:
    return {"id": token.id, "text": token.text, "logprob": token.logprob, "special": token.special}


def _details(asked: Asked, valid: Valid, plan: Plan) -> dict[str, Any]:
    details: dict[str, Any] = {
        "finish_reason": plan.finish_reason,
        "generated_tokens": len(plan.tokens),
        "seed": valid.seed,
        "prefill": [],
        "tokens": [token_json(token) for token in plan.tokens],
    }
    top = [_top_tokens(token, valid.top_n_tokens) for token in plan.tokens] if valid.top_n_tokens else []
    if asked.best_of > 1:
        other = {"generated_text": full_text(asked, plan), **details} | ({"top_tokens": top} if top else {})
        details["best_of_sequences"] = [other] * (asked.best_of - 1)
    if top:
        details["top_tokens"] = top
    return details


def _top_tokens(token: Token, count: int) -> list[dict[str, Any]]:
    """The alternatives that the script gives; without any, the token itself is the likeliest."""
    return [token_json(top) for top in (token.top_tokens or (token,))[:count]]


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


def _head(status: int, headers: Headers) -> bytes:
    reason = _REASONS.get(status) or HTTPStatus(status).phrase
    lines = "".join(f"{name}: {value}\r\n" for name, value in (*headers, ("date", http_date())))
    return f"HTTP/1.1 {status} {reason}\r\n{lines}\r\n".encode()
