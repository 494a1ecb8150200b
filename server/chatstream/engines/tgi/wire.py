"""TGI's messages: what is asked, and the meaning of what is answered. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from chatstream.engines.base import EngineInfo, FinishReason, GenerationEnd, GenerationRequest
from chatstream.errors import (
    EngineError,
    EngineFailed,
    EngineOverloaded,
    EngineRejected,
    EngineUnavailable,
)

_BY_TYPE: Final[Mapping[str, type[EngineError]]] = {
    "validation": EngineRejected,
    "template_error": EngineRejected,
    "missing_template_variable": EngineRejected,
    "tool_error": EngineRejected,
    "overloaded": EngineOverloaded,
    "healthcheck": EngineUnavailable,
}
_BY_STATUS: Final[Mapping[int, type[EngineError]]] = {
    400: EngineRejected,
    413: EngineRejected,
    415: EngineRejected,
    422: EngineRejected,
    429: EngineOverloaded,
    503: EngineUnavailable,
}
_FINISH_REASONS: Final = frozenset(get_args(FinishReason))
_LONGEST_DETAIL = 300
_MOST_TOKENS = 2**53
_decode = json.JSONDecoder().raw_decode


def build_payload(request: GenerationRequest) -> dict[str, Any]:
    """The body of /generate_stream. Values that TGI refuses but that mean "off" are left out."""
    parameters: dict[str, Any] = {"max_new_tokens": request.max_new_tokens, "details": True}
    if request.stop:
        parameters["stop"] = list(request.stop)
    if request.repetition_penalty is not None:
        parameters["repetition_penalty"] = request.repetition_penalty
    parameters |= _sampling(request)
    return {"inputs": request.prompt, "parameters": parameters}


def _sampling(request: GenerationRequest) -> dict[str, Any]:
    """A temperature of 0 is greedy, for which TGI wants none; top_p of 1 and top_k of 0 are off."""
    if request.temperature == 0:
        return {"do_sample": False}
    chosen = {
        "temperature": request.temperature,
        "top_p": request.top_p if request.top_p is None or request.top_p < 1 else None,
        "top_k": request.top_k or None,
        "seed": request.seed,
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    return {"do_sample": True, **given} if given else {}


def decode_event(data: bytes) -> dict[str, Any]:
    """One event of the stream. EngineFailed if it is no JSON object."""
    try:
        text = data.decode()
        event, end = _decode(text)
    except (ValueError, RecursionError) as error:
        raise EngineFailed(f"the engine sent what is no JSON: {error}") from error
    if not isinstance(event, dict) or text[end:].strip():
        raise EngineFailed("the engine sent an event that is no JSON object")
    return event


def event_error(event: Mapping[str, Any]) -> EngineError:
    """The error that an event without a token stands for."""
    if "error" not in event:
        return EngineFailed("the engine sent an event that has neither a token nor an error")
    return _BY_TYPE.get(str(event.get("error_type")), EngineFailed)(_short(str(event["error"])))


def _short(text: str) -> str:
    """Enough to know the cause by: it goes into a line of the log, and into an answer."""
    return text if len(text) <= _LONGEST_DETAIL else text[:_LONGEST_DETAIL] + "…"


def parse_end(event: Mapping[str, Any], tokens: int) -> GenerationEnd:
    """The last event's meaning; `tokens` is what was counted, for engines that leave the details out."""
    text, details = event["generated_text"], event.get("details")
    if not isinstance(text, str):
        raise EngineFailed("the engine's whole text is no text")
    if details is None:
        return GenerationEnd("eos_token", tokens, None, text)
    try:
        reason, generated, prompt = (
            details["finish_reason"],
            int(details["generated_tokens"]),
            details.get("input_length"),
        )
        prompt_tokens = None if prompt is None else int(prompt)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise EngineFailed(f"the engine's details of its end are incomplete: {error}") from error
    if not isinstance(reason, str) or reason not in _FINISH_REASONS:
        raise EngineFailed(f"the engine ended for a reason that is not known: {_short(str(reason))}")
    if not (0 <= generated <= _MOST_TOKENS and 0 <= (prompt_tokens or 0) <= _MOST_TOKENS):
        raise EngineFailed("the engine's count of its tokens cannot be")
    return GenerationEnd(cast(FinishReason, reason), generated, prompt_tokens, text)


def response_error(status: int, body: bytes) -> EngineError:
    """The error of an answer that is not 200. Its body may be JSON, plain text or nothing."""
    text = _short(body.decode(errors="replace").strip())
    bare = f"the engine answered with status {status}"
    try:
        event = decode_event(body)
    except EngineFailed:
        return _BY_STATUS.get(status, EngineFailed)(text or bare)
    known = _BY_TYPE.get(str(event.get("error_type"))) or _BY_STATUS.get(status, EngineFailed)
    # Objects of other servers may repeat the request, and with it what a user wrote.
    return known(_short(str(event["error"])) if "error" in event else bare)


def parse_info(body: bytes) -> EngineInfo:
    """/info; older versions call the input's limit max_input_length."""
    info = decode_event(body)
    limit = info.get("max_concurrent_requests")
    try:
        return EngineInfo(
            model_id=str(info["model_id"]),
            max_input_tokens=int(
                info["max_input_tokens" if "max_input_tokens" in info else "max_input_length"]
            ),
            max_total_tokens=int(info["max_total_tokens"]),
            max_concurrent_requests=None if limit is None else int(limit),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise EngineFailed(f"the engine's /info lacks a field: {error}") from error


def parse_token_count(body: bytes) -> int:
    """/tokenize: a list of tokens."""
    try:
        tokens = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EngineFailed(f"the engine's /tokenize is no JSON: {error}") from error
    if not isinstance(tokens, list):
        raise EngineFailed("the engine's /tokenize is no list")
    return len(tokens)
