"""TGIEngine against an engine of captured and invented bytes."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest

from chatstream.engines import EngineInfo, GenerationEnd, GenerationRequest, TGIEngine
from chatstream.errors import (
    EngineError,
    EngineFailed,
    EngineOverloaded,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
)

if TYPE_CHECKING:
    from tests.server.engines.conftest import RawEngineFactory

MakeEngine = Callable[..., TGIEngine]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
REQUEST = GenerationRequest("What is Deep Learning?", 5)


@pytest.fixture
async def make_engine() -> AsyncIterator[MakeEngine]:
    engines: list[TGIEngine] = []

    def make(
        url: str,
        *,
        api_key: str | None = None,
        first_token_timeout: float = 30.0,
        idle_timeout: float = 30.0,
    ) -> TGIEngine:
        engines.append(
            TGIEngine(
                url, api_key=api_key, first_token_timeout=first_token_timeout, idle_timeout=idle_timeout
            )
        )
        return engines[-1]

    yield make
    for engine in engines:
        await engine.aclose()


def chunk(data: bytes) -> bytes:
    return b"%X\r\n%s\r\n" % (len(data), data)


def event(text: str, *, special: object = False, **more: object) -> bytes:
    token = {"id": 1, "text": text, "logprob": -1.0, "special": special}
    return (
        b"data: "
        + json.dumps({"token": token, "generated_text": None, "details": None} | more).encode()
        + b"\n\n"
    )


def last(text: str, whole: str, reason: str = "eos_token", **more: object) -> bytes:
    details = {"finish_reason": reason, "generated_tokens": 3, "seed": None, "input_length": 6}
    return event(text, **{"generated_text": whole, "details": details} | more)


async def collect(engine: TGIEngine, request: GenerationRequest = REQUEST) -> tuple[list[str], GenerationEnd]:
    stream = await engine.open(request)
    texts: list[str] = []
    try:
        while True:
            batch = await stream.read()
            texts += batch.texts
            if batch.end is not None:
                return texts, batch.end
    finally:
        stream.close()


async def failure(engine: TGIEngine) -> tuple[list[str], EngineError]:
    """What came, and the error that ended it."""
    texts: list[str] = []
    try:
        stream = await engine.open(REQUEST)
        while True:
            texts += (await stream.read()).texts
    except EngineError as error:
        return texts, error


@pytest.mark.parametrize("name", ["generate_stream", "generate_stream_nodetails", "generate_stream_topn"])
async def test_captured_streams(
    name: str, capture: Callable[[str], bytes], raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(capture(f"{name}.http"))
    texts, end = await collect(make_engine(raw.url))
    expected = {
        "generate_stream": ("veryveryveryveryakes", GenerationEnd("length", 5, 6, "veryveryveryveryakes")),
        "generate_stream_nodetails": ("veryveryvery", GenerationEnd("eos_token", 3, None, "veryveryvery")),
        "generate_stream_topn": ("veryvery", GenerationEnd("length", 2, 6, "What is Deep Learning?veryvery")),
    }[name]
    assert ("".join(texts), end) == expected


async def test_a_captured_stream_cut_anywhere_gives_a_typed_error(
    capture: Callable[[str], bytes], raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    whole = capture("generate_stream.http")
    final = whole.rindex(b"\n\n")
    for cut in range(0, final, 37):
        raw = await raw_engine(whole[:cut], "close")
        texts, error = await failure(make_engine(raw.url))
        assert isinstance(error, EngineFailed | EngineUnavailable), cut
        assert "veryveryveryveryakes".startswith("".join(texts))


@pytest.mark.parametrize(
    ("name", "kind", "detail"),
    [
        (
            "err_bad_json",
            EngineRejected,
            "Failed to parse the request body as JSON: inputs: EOF while parsing",
        ),
        (
            "err_missing_field",
            EngineRejected,
            "Failed to deserialize the JSON body into the target type: missing",
        ),
        ("err_no_content_type", EngineRejected, "Expected request with `Content-Type: application/json`"),
        ("err_payload_too_large", EngineRejected, "Failed to buffer the request body: length limit exceeded"),
        ("err_empty", EngineRejected, "Input validation error: `inputs` cannot be empty"),
        (
            "err_temperature_stream",
            EngineRejected,
            "Input validation error: `temperature` must be strictly positive",
        ),
        (
            "err_overlong_generate_stream",
            EngineRejected,
            "Input validation error: `inputs` tokens + `max_new_tokens`",
        ),
        ("overloaded_generate", EngineOverloaded, "Model is overloaded"),
        ("overloaded_generate_stream", EngineOverloaded, "Model is overloaded"),
        ("err_404", EngineFailed, "the engine answered with status 404"),
    ],
)
async def test_captured_errors_are_typed(
    name: str,
    kind: type[EngineError],
    detail: str,
    capture: Callable[[str], bytes],
    raw_engine: "RawEngineFactory",
    make_engine: MakeEngine,
) -> None:
    raw = await raw_engine(capture(f"{name}.http"))
    texts, error = await failure(make_engine(raw.url))
    assert type(error) is kind
    assert error.detail.startswith(detail)
    assert texts == []


async def test_a_killed_shard_fails_after_what_it_said(
    capture: Callable[[str], bytes], raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    match = re.search(rb"data: \{.*\}", capture("shard_killed.txt"))
    assert match is not None
    raw = await raw_engine(HEAD + chunk(event("a")) + chunk(match.group() + b"\n\n") + END)
    texts, error = await failure(make_engine(raw.url))
    assert texts == ["a"]
    assert type(error) is EngineFailed
    assert error.detail == "Request failed during generation: Server error: transport error"


@pytest.mark.parametrize(
    "answer",
    [
        (HEAD + END,),
        (HEAD + chunk(event("a")) + END,),
        (HEAD + chunk(event("a")[:20]), "close"),
        (HEAD + chunk(event("a"))[:30], "cut"),
        (HEAD + chunk(b"data: no json\n\n"),),
        (HEAD + chunk(b"data: {} {}\n\n"),),
        (HEAD + chunk(b"data: []\n\n"),),
        (HEAD + chunk(b"data: {}\n\n"),),
        (HEAD + chunk(b'data: {"token":{"text":"a"}}\n\n'),),
        (HEAD + chunk(b'data: {"token":{"text":5,"special":false}}\n\n'),),
        (HEAD + chunk(b"data: " + b"[" * 100_000 + b"\n\n"),),
        (HEAD + chunk(b"data: \xff\xfe\n\n"),),
        (HEAD + chunk(last("a", "a", "no_such_reason")),),
        (HEAD + chunk(event("a", generated_text="a", details={"finish_reason": "length"})),),
        (HEAD + chunk(event("a", generated_text=5)),),
        (HEAD + b"no chunk size\r\n",),
        (b"no http at all\r\n\r\n",),
    ],
)
async def test_garbage_is_a_typed_failure(
    answer: tuple[Any, ...], raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(*answer)
    _, error = await failure(make_engine(raw.url))
    assert type(error) is EngineFailed


async def test_tokens_that_came_with_a_broken_event_are_delivered_first(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(HEAD + chunk(event("a") + event("b") + b"data: broken\n\n") + END)
    texts, error = await failure(make_engine(raw.url))
    assert (texts, type(error)) == (["a", "b"], EngineFailed)
    assert error.detail.startswith("the engine sent what is no JSON: ")


async def test_keep_alives_special_tokens_and_unfinished_characters(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    events = [
        event("<s>", special=True),
        b":\n\n",
        event("a"),
        event(""),
        event("é"),
        event("\ufffd"),
        event("ü"),
    ]
    raw = await raw_engine(HEAD + b"".join(map(chunk, [*events, last("</s>", "aéü", special=True)])) + END)
    texts, end = await collect(make_engine(raw.url))
    assert texts == ["a", "é", "ü"]
    assert end == GenerationEnd("eos_token", 3, 6, "aéü")


async def test_6_the_whole_text_repairs_an_unfinished_tail(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(
        HEAD + chunk(event("a")) + chunk(event("\ufffd")) + chunk(last("\ufffd", "aé")) + END
    )
    texts, _ = await collect(make_engine(raw.url))
    assert texts == ["a", "é"]


async def test_data_without_a_space_as_older_engines_send_it(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(
        HEAD + chunk(event("a").replace(b"data: ", b"data:")) + chunk(last("b", "ab")) + END
    )
    texts, _ = await collect(make_engine(raw.url))
    assert texts == ["a", "b"]


async def test_tokens_of_one_chunk_come_in_one_batch(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(HEAD + chunk(event("a") + event("b") + last("c", "abc")) + END)
    stream = await make_engine(raw.url).open(REQUEST)
    batch = await stream.read()
    assert batch.texts == ["a", "b", "c"]
    assert batch.end is not None
    with pytest.raises(EngineFailed, match="over"):
        await stream.read()
    stream.close()


@pytest.mark.parametrize(
    "steps",
    [(HEAD, "hold"), (HEAD, *[chunk(b":\n\n"), 0.02] * 20, "hold"), ("hold",)],
    ids=["silent", "alive", "head"],
)
async def test_silence_before_the_first_token_ends_in_time(
    steps: tuple[Any, ...], raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(*steps)
    texts, error = await failure(make_engine(raw.url, first_token_timeout=0.1))
    assert (texts, type(error)) == ([], EngineTimeout)
    await asyncio.wait_for(raw.gone.wait(), 5)


async def test_silence_between_tokens_ends_in_time_whatever_the_keep_alives(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(HEAD + chunk(event("a")), *[chunk(b":\n\n"), 0.02] * 50, "hold")
    texts, error = await failure(make_engine(raw.url, idle_timeout=0.1))
    assert (texts, type(error)) == (["a"], EngineTimeout)
    await asyncio.wait_for(raw.gone.wait(), 5)


async def test_a_cancelled_read_loses_nothing(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(HEAD, 0.1, chunk(event("a")), 0.1, chunk(last("b", "ab")), END)
    stream = await make_engine(raw.url).open(REQUEST)
    texts: list[str] = []
    end = None
    while end is None:
        try:
            batch = await asyncio.wait_for(stream.read(), 0.01)
        except TimeoutError:
            continue
        texts, end = texts + batch.texts, batch.end
    assert texts == ["a", "b"]


async def test_16b_close_drops_the_connection_before_the_first_token_and_in_the_stream(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    for steps in ((HEAD, "hold"), (HEAD + chunk(event("a")), "hold")):
        raw = await raw_engine(*steps)
        stream = await make_engine(raw.url).open(REQUEST)
        if len(steps[0]) > len(HEAD):
            assert (await stream.read()).texts == ["a"]
        stream.close()
        stream.close()
        await asyncio.wait_for(raw.gone.wait(), 5)
        with pytest.raises(EngineFailed):
            await stream.read()


async def test_16b_a_cancelled_open_drops_the_connection(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine("hold")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(make_engine(raw.url).open(REQUEST), 0.05)
    await asyncio.wait_for(raw.gone.wait(), 5)


async def test_16b_close_ends_a_read_that_waits(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(HEAD, "hold")
    stream = await make_engine(raw.url).open(REQUEST)
    reading = asyncio.ensure_future(stream.read())
    await asyncio.sleep(0)
    stream.close()
    with pytest.raises(EngineFailed):
        await asyncio.wait_for(reading, 5)


async def test_connections_are_kept_for_the_next_request(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(HEAD + chunk(last("a", "a")) + END)
    engine = make_engine(raw.url)
    for _ in range(3):
        await collect(engine)
    assert (len(raw.requests), raw.connections) == (3, 1)


async def test_a_kept_connection_that_the_engine_closed_meanwhile_is_replaced(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(HEAD + chunk(last("a", "a")) + END, "cut")
    engine = make_engine(raw.url)
    for _ in range(3):
        assert (await collect(engine))[0] == ["a"]


async def test_nobody_listens(raw_engine: "RawEngineFactory", make_engine: MakeEngine) -> None:
    engine = make_engine("http://127.0.0.1:1")
    _, error = await failure(engine)
    assert type(error) is EngineUnavailable
    assert not await engine.healthy()
    with pytest.raises(EngineUnavailable):
        await engine.info()
    raw = await raw_engine("close")
    with pytest.raises(EngineUnavailable):
        await make_engine(raw.url).count_tokens("a")


async def test_health(
    capture: Callable[[str], bytes], raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(capture("health.http"))
    assert await make_engine(raw.url).healthy()
    body = b'{"error":"unhealthy","error_type":"healthcheck"}'
    sick = await raw_engine(
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    )
    assert not await make_engine(sick.url).healthy()
    _, error = await failure(make_engine(sick.url))
    assert type(error) is EngineUnavailable


async def test_info_and_token_count(
    capture: Callable[[str], bytes], raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    info = await raw_engine(capture("info.http"))
    assert await make_engine(info.url).info() == EngineInfo("/data/models/tinylm", 1024, 2048, 128)
    tokenize = await raw_engine(capture("tokenize.http"))
    assert await make_engine(tokenize.url).count_tokens("What is Deep Learning?") == 6
    assert tokenize.requests[0].endswith(b'{"inputs": "What is Deep Learning?"}')


async def test_an_answer_without_end_costs_little_memory(
    raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    endless = [chunk(b"[" * 1_000_000)] * 100
    raw = await raw_engine(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", *endless, "hold")
    with pytest.raises(EngineFailed, match="longer than"):
        await make_engine(raw.url).info()
    await asyncio.wait_for(raw.gone.wait(), 5)


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"{}",
        b'{"model_id":"m"}',
        b'"a"',
        b'{"model_id":"m","max_input_tokens":1e999,"max_total_tokens":1}',
    ],
)
async def test_info_and_token_count_that_are_garbage(
    body: bytes, raw_engine: "RawEngineFactory", make_engine: MakeEngine
) -> None:
    raw = await raw_engine(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    engine = make_engine(raw.url)
    with pytest.raises(EngineFailed):
        await engine.info()
    with pytest.raises(EngineFailed):
        await engine.count_tokens("a")


async def test_the_request_on_the_wire(raw_engine: "RawEngineFactory", make_engine: MakeEngine) -> None:
    raw = await raw_engine(HEAD + chunk(last("a", "a")) + END)
    request = GenerationRequest(
        "é", 7, ("</s>",), temperature=0.5, top_p=1, top_k=0, repetition_penalty=1.1, seed=3
    )
    await collect(make_engine(raw.url, api_key="key"), request)
    head, _, body = raw.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /generate_stream HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer key\r\n" in head
    assert b"\r\nAccept-Encoding: identity\r\n" in head
    assert json.loads(body) == {
        "inputs": "é",
        "parameters": {
            "max_new_tokens": 7,
            "details": True,
            "stop": ["</s>"],
            "repetition_penalty": 1.1,
            "do_sample": True,
            "temperature": 0.5,
            "seed": 3,
        },
    }


async def test_a_closed_engine_is_unavailable(make_engine: MakeEngine) -> None:
    engine = make_engine("http://127.0.0.1:1")
    await engine.aclose()
    await engine.aclose()
    with pytest.raises(EngineUnavailable, match="closed"):
        await engine.open(REQUEST)
    assert not await engine.healthy()
