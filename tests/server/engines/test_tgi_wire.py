"""TGI's messages, one by one."""

import pytest

from chatstream.engines import GenerationEnd, GenerationRequest
from chatstream.engines.tgi.wire import (
    build_payload,
    decode_event,
    event_error,
    parse_end,
    parse_info,
    response_error,
)
from chatstream.errors import (
    EngineError,
    EngineFailed,
    EngineOverloaded,
    EngineRejected,
    EngineUnavailable,
)

BARE = {"max_new_tokens": 5, "details": True}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"temperature": 0.7}, {"do_sample": True, "temperature": 0.7}),
        ({"temperature": 1.0}, {"do_sample": True, "temperature": 1.0}),
        # Greedy: TGI refuses a temperature of 0, and top_p, top_k and seed mean nothing then.
        ({"temperature": 0.0, "top_p": 0.5, "top_k": 3, "seed": 1}, {"do_sample": False}),
        ({"top_p": 1.0}, {}),
        ({"top_p": 1.0, "temperature": 0.5}, {"do_sample": True, "temperature": 0.5}),
        ({"top_p": 0.9}, {"do_sample": True, "top_p": 0.9}),
        ({"top_k": 0}, {}),
        ({"top_k": 40}, {"do_sample": True, "top_k": 40}),
        ({"seed": 0}, {"do_sample": True, "seed": 0}),
        ({"repetition_penalty": 1.2}, {"repetition_penalty": 1.2}),
        ({"stop": ("a", "b")}, {"stop": ["a", "b"]}),
    ],
)
def test_parameters_that_are_off_are_left_out(given: dict[str, object], expected: dict[str, object]) -> None:
    request = GenerationRequest("p", 5, **given)  # type: ignore[arg-type]
    assert build_payload(request) == {"inputs": "p", "parameters": BARE | expected}


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"error": "e", "error_type": "validation"}, EngineRejected),
        ({"error": "e", "error_type": "template_error"}, EngineRejected),
        ({"error": "e", "error_type": "missing_template_variable"}, EngineRejected),
        ({"error": "e", "error_type": "tool_error"}, EngineRejected),
        ({"error": "e", "error_type": "overloaded"}, EngineOverloaded),
        ({"error": "e", "error_type": "healthcheck"}, EngineUnavailable),
        ({"error": "e", "error_type": "generation"}, EngineFailed),
        ({"error": "e", "error_type": "incomplete_generation_stream"}, EngineFailed),
        ({"error": "e", "error_type": "something new"}, EngineFailed),
        ({"error": "e"}, EngineFailed),
    ],
)
def test_errors_in_a_stream(event: dict[str, object], kind: type[EngineError]) -> None:
    error = event_error(event)
    assert (type(error), error.detail) == (kind, "e")


@pytest.mark.parametrize(
    ("status", "body", "kind", "detail"),
    [
        (422, b'{"error":"e","error_type":"validation"}', EngineRejected, "e"),
        (422, b"Failed to deserialize", EngineRejected, "Failed to deserialize"),
        (400, b"Failed to parse", EngineRejected, "Failed to parse"),
        (413, b"", EngineRejected, "the engine answered with status 413"),
        (424, b'{"error":"e","error_type":"generation"}', EngineFailed, "e"),
        (429, b"", EngineOverloaded, "the engine answered with status 429"),
        (429, b'{"message":"slow down"}', EngineOverloaded, "the engine answered with status 429"),
        (422, b'{"detail":[{"input":"a user"}]}', EngineRejected, "the engine answered with status 422"),
        (404, b"x" * 5000, EngineFailed, "x" * 300 + "…"),
        (422, b'{"error":"%s"}' % (b"x" * 5000), EngineRejected, "x" * 300 + "…"),
        (500, b'{"error":"e","error_type":"incomplete_generation"}', EngineFailed, "e"),
        (502, b"<html>bad gateway</html>", EngineFailed, "<html>bad gateway</html>"),
        (503, b"", EngineUnavailable, "the engine answered with status 503"),
        (401, b"", EngineFailed, "the engine answered with status 401"),
        (302, b"", EngineFailed, "the engine answered with status 302"),
        (422, b"\xff\xfe", EngineRejected, "\ufffd\ufffd"),
    ],
)
def test_answers_other_than_200(status: int, body: bytes, kind: type[EngineError], detail: str) -> None:
    error = response_error(status, body)
    assert (type(error), error.detail) == (kind, detail)


def test_codes_are_the_machines_part_of_an_error() -> None:
    kinds = (EngineUnavailable, EngineOverloaded, EngineRejected, EngineFailed)
    assert [kind.code for kind in kinds] == [
        "engine_unavailable",
        "engine_overloaded",
        "engine_rejected",
        "engine_failed",
    ]


def test_the_end_with_and_without_details() -> None:
    details = {"finish_reason": "stop_sequence", "generated_tokens": 2, "seed": None, "input_length": 4}
    assert parse_end({"generated_text": "ab", "details": details}, 9) == GenerationEnd(
        "stop_sequence", 2, 4, "ab"
    )
    assert parse_end({"generated_text": "ab", "details": None}, 9) == GenerationEnd(
        "eos_token", 9, None, "ab"
    )
    older = {"finish_reason": "length", "generated_tokens": 2}
    assert parse_end({"generated_text": "ab", "details": older}, 9) == GenerationEnd("length", 2, None, "ab")


@pytest.mark.parametrize(
    "details",
    [
        5,
        [],
        {},
        {"finish_reason": "length"},
        {"finish_reason": "x", "generated_tokens": 1},
        {"finish_reason": ["length"], "generated_tokens": 1},
        {"finish_reason": "length", "generated_tokens": -1},
        {"finish_reason": "length", "generated_tokens": 10**400},
        {"finish_reason": "length", "generated_tokens": float("inf")},
        {"finish_reason": "length", "generated_tokens": 1, "input_length": -1},
    ],
)
def test_an_end_that_is_not_complete(details: object) -> None:
    with pytest.raises(EngineFailed):
        parse_end({"generated_text": "ab", "details": details}, 1)


def test_info_of_older_engines() -> None:
    info = parse_info(b'{"model_id":"m","max_input_length":5,"max_total_tokens":9}')
    assert (info.max_input_tokens, info.max_total_tokens, info.max_concurrent_requests) == (5, 9, None)


def test_white_space_after_an_event_is_no_fault() -> None:
    assert decode_event(b'{"a":1} \t') == {"a": 1}
