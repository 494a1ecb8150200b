"""What the demonstration engine's server does beyond the captured answers."""

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from chatstream.engines.demo import Script
from chatstream.engines.demo.server.app import App
from chatstream.engines.demo.server.config import ServerConfig
from chatstream.engines.demo.server.connection import Connection, Connections

if TYPE_CHECKING:
    from tests.server.engines.conftest import DemoServer, DemoServerFactory

LIMITS = {"MAX_INPUT_TOKENS": "1024", "MAX_TOTAL_TOKENS": "2048"}


@pytest.fixture(scope="module")
def server(demo_server: "DemoServerFactory") -> "DemoServer":
    return demo_server(**LIMITS)


def post(path: str, body: dict[str, Any], *headers: str) -> bytes:
    data = json.dumps(body).encode()
    lines = [
        f"POST {path} HTTP/1.1",
        "content-type: application/json",
        f"content-length: {len(data)}",
        *headers,
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + data


def generate(inputs: str, **parameters: object) -> dict[str, Any]:
    return {"inputs": inputs, "parameters": parameters}


async def body_of(server: "DemoServer", path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401
    return json.loads((await server.exchange(post(path, body))).partition(b"\r\n\r\n")[2])


async def events_of(server: "DemoServer", body: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await server.exchange(post("/generate_stream", body))
    return [json.loads(line[6:]) for line in answer.split(b"\n") if line.startswith(b"data: ")]


async def test_details_of_a_sampled_answer(server: "DemoServer") -> None:
    answer = await body_of(
        server, "/generate", generate("[[tokens=2]]", details=True, do_sample=True, seed=7)
    )
    assert answer["details"]["seed"] == 7
    assert [token["text"] for token in answer["details"]["tokens"]] == ["tok1 ", "tok2 "]
    drawn = await events_of(server, generate("[[tokens=2]]", details=True, temperature=0.5))
    assert isinstance(drawn[-1]["details"]["seed"], int)


async def test_an_answer_without_details_and_the_compat_route(server: "DemoServer") -> None:
    assert await body_of(server, "/generate", generate("[[tokens=1]]")) == {"generated_text": "tok1 "}
    answer = await body_of(server, "/", {"inputs": "[[tokens=1]]"})
    assert answer == [{"generated_text": "[[tokens=1]]tok1 "}]


async def test_best_of_takes_as_many_permits(demo_server: "DemoServerFactory") -> None:
    server = demo_server(MAX_CONCURRENT_REQUESTS="1")
    wanted = generate("[[tokens=1]]", best_of=2, do_sample=True, details=True)
    assert (await body_of(server, "/generate", wanted))["error_type"] == "overloaded"
    roomy = demo_server(MAX_CONCURRENT_REQUESTS="2")
    for _ in range(2):
        answer = await body_of(roomy, "/generate", wanted)
        assert len(answer["details"]["best_of_sequences"]) == 1


REFUSALS = [
    ({"temperature": 0.0}, "`temperature` must be strictly positive"),
    ({"repetition_penalty": 0}, "`repetition_penalty` must be strictly positive"),
    ({"frequency_penalty": 3}, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
    ({"top_p": 1.0}, "`top_p` must be > 0.0 and < 1.0"),
    ({"typical_p": 0}, "`typical_p` must be > 0.0 and < 1.0"),
    ({"top_k": 0}, "`top_k` must be strictly positive"),
    ({"max_new_tokens": 0}, "`max_new_tokens` must be strictly positive"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "`stop` supports up to 4 stop sequences. Given: 5"),
    ({"top_n_tokens": 6}, "`top_n_tokens` must be >= 0 and <= 5. Given: 6"),
    ({"truncate": 1025}, "`truncate` must be strictly positive and less than 1024. Given: 1025"),
]


@pytest.mark.parametrize(("parameters", "reason"), REFUSALS)
async def test_parameters_are_refused_in_both_ways(
    parameters: dict[str, Any], reason: str, server: "DemoServer"
) -> None:
    expected = {"error": f"Input validation error: {reason}", "error_type": "validation"}
    assert await body_of(server, "/generate", generate("a", **parameters)) == expected
    assert await events_of(server, generate("a", **parameters)) == [expected]


@pytest.mark.parametrize(
    ("path", "parameters", "reason"),
    [
        ("/generate", {"best_of": 3}, "`best_of` must be > 0 and <= 2. Given: 3"),
        ("/generate", {"best_of": 2}, "you must use sampling when `best_of` is > 1"),
        (
            "/generate",
            {"best_of": 2, "do_sample": True, "seed": 1},
            "`seed` must not be set when `best_of` > 1",
        ),
        ("/generate_stream", {"best_of": 2}, "`best_of` != 1 is not supported when streaming tokens"),
        (
            "/generate_stream",
            {"decoder_input_details": True},
            "`decoder_input_details` == true is not supported when streaming tokens",
        ),
    ],
)
async def test_what_only_one_way_can_do(
    path: str, parameters: dict[str, Any], reason: str, server: "DemoServer"
) -> None:
    answer = await server.exchange(post(path, generate("a", **parameters)))
    assert f'{{"error":"Input validation error: {reason}","error_type":"validation"}}'.encode() in answer


async def test_truncated_input_counts_as_short(server: "DemoServer") -> None:
    events = await events_of(
        server, generate("a " * 1500 + "[[tokens=1]]", truncate=5, details=True, max_new_tokens=9)
    )
    assert events[-1]["details"]["input_length"] == 5


async def test_a_long_answer_ends_where_its_next_round_would_be_too_long(server: "DemoServer") -> None:
    body = generate("[[tokens=1500]][[delay=0]][[prefill=0]]", max_new_tokens=1500, details=True)
    events = await events_of(server, body)
    assert len(events) == 1024
    assert events[-1]["details"]["finish_reason"] == "length"


async def test_a_failure_in_both_ways(server: "DemoServer") -> None:
    events = await events_of(server, generate("[[fail=2]]"))
    assert [event.get("error_type") for event in events] == [None, None, "generation"]
    answer = await server.exchange(post("/generate", generate("[[fail=2]]")))
    assert answer.startswith(b"HTTP/1.1 424 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == events[-1]
    await server.until(running=0)


async def test_the_api_key_guards_what_works_and_not_what_tells(demo_server: "DemoServerFactory") -> None:
    server = demo_server(API_KEY="Key")
    for path in ("/", "/generate", "/generate_stream", "/tokenize"):
        for headers in ([], ["authorization: Bearer other"], ["authorization: Key"]):
            answer = await server.exchange(post(path, generate("[[tokens=1]]"), *headers))
            assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
            assert b"content-length: 0\r\n" in answer
        # TGI does not look at the case.
        for value in ("Bearer Key", "bearer KEY"):
            answer = await server.exchange(post(path, generate("[[tokens=1]]"), f"authorization: {value}"))
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    for path in ("/", "/health", "/ping", "/info", "/metrics", "/_demo/stats"):
        assert (await server.exchange(f"GET {path} HTTP/1.1\r\n\r\n".encode())).startswith(
            b"HTTP/1.1 200 OK\r\n"
        )


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST /health HTTP/1.1\r\ncontent-length: 0\r\n\r\n", b"405 Method Not Allowed"),
        (b"GET /health?x=1 HTTP/1.1\r\n\r\n", b"200 OK"),
        (b"no http\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", b"200 OK"),
    ],
)
async def test_requests_beyond_the_ordinary(
    request_bytes: bytes, status: bytes, server: "DemoServer"
) -> None:
    assert (await server.exchange(request_bytes)).startswith(b"HTTP/1.1 " + status)


async def test_pipelined_requests_are_answered_in_order_and_one_at_a_time(server: "DemoServer") -> None:
    first = post("/generate", generate("[[tokens=2]][[prefill=50]]"))
    second = post("/generate", generate("[[tokens=1]][[prefill=0]]"), "connection: close")
    reader, writer = await server.connect(first + second)
    answers = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answers.index(b'"tok1 tok2 "') < answers.index(b'"tok1 "')
    assert answers.count(b"HTTP/1.1 200 OK") == 2


async def test_a_body_in_pieces_and_chunks(server: "DemoServer") -> None:
    head = b"POST /tokenize HTTP/1.1\r\ncontent-type: application/json; charset=utf-8\r\n"
    reader, writer = await server.connect(head + b"transfer-encoding: chunked\r\n\r\n")
    for part in (b'{"inp', b'uts":', b'"a"}'):
        writer.write(b"%X\r\n%s\r\n" % (len(part), part))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    writer.close()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_garbage_during_a_stream_ends_it(server: "DemoServer") -> None:
    await server.reset()
    _, writer = await server.connect(post("/generate_stream", generate("[[hang=0]]")))
    await server.until(running=1)
    writer.write(b"\x00\x01garbage\r\n\r\n")
    await server.until(running=0, dropped=1)
    writer.close()


async def test_16b_a_client_that_closes_its_half_counts_as_gone(server: "DemoServer") -> None:
    await server.reset()
    _, writer = await server.connect(post("/generate_stream", generate("[[hang=0]]")))
    await server.until(running=1)
    writer.write_eof()
    await server.until(running=0, dropped=1, last_dropped_phase="prefill")
    writer.close()


async def test_12a_the_batch_runs_so_many_at_once_and_the_rest_in_order(
    demo_server: "DemoServerFactory",
) -> None:
    server = demo_server(MAX_BATCH_SIZE="2")
    bodies = [post("/generate", generate(f"[[tokens={count}]][[delay=5]]")) for count in (5, 6, 7, 8)]
    answers = await asyncio.gather(*(server.exchange(body) for body in bodies))
    assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)
    stats = await server.stats()
    assert (stats["running_max"], stats["requests"], stats["running"], stats["waiting"]) == (2, 4, 0, 0)
    await server.reset()
    assert (await server.stats())["running_max"] == 0


async def test_overload_frees_its_permits_again(demo_server: "DemoServerFactory") -> None:
    server = demo_server(MAX_CONCURRENT_REQUESTS="2", MAX_BATCH_SIZE="1")
    held = [await server.connect(post("/generate_stream", generate("[[hang=0]]"))) for _ in range(2)]
    await server.until(running=1, waiting=1)
    assert (await events_of(server, generate("a")))[0]["error_type"] == "overloaded"
    # A refused request holds nothing, whichever way it was refused.
    held[1][1].close()
    await server.until(waiting=0)
    for _ in range(3):
        assert (await events_of(server, generate("")))[0]["error_type"] == "validation"
    held[0][1].close()
    await server.until(running=0)
    assert "index" in (await events_of(server, generate("a")))[0]


async def test_sigterm_closes_the_listener_and_lets_streams_end(demo_server: "DemoServerFactory") -> None:
    server = demo_server()
    idle_reader, idle_writer = await server.connect(b"GET /health HTTP/1.1\r\n\r\n")
    await idle_reader.readuntil(b"\r\n\r\n")
    reader, writer = await server.connect(post("/generate_stream", generate("[[tokens=50]][[delay=10]]")))
    await reader.readuntil(b'"index":2,')
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(idle_reader.read(), 10) == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)
    rest = await asyncio.wait_for(reader.read(), 20)
    assert rest.endswith(b"0\r\n\r\n")
    assert rest.count(b"data: ") == 48
    assert await server.exit_status() == 0
    writer.close()
    idle_writer.close()


async def test_sigterm_cuts_what_outlives_the_grace_period(demo_server: "DemoServerFactory") -> None:
    server = demo_server(GRACEFUL_TERMINATION_TIMEOUT="0")
    reader, writer = await server.connect(post("/generate_stream", generate("[[hang=0]]")))
    await server.until(running=1)
    server.process.send_signal(signal.SIGINT)
    assert await server.exit_status() == 0
    rest = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert not rest.endswith(b"0\r\n\r\n")


async def test_comments_keep_a_silent_stream_alive() -> None:
    connections = Connections()
    app = App(ServerConfig(), Script())
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(lambda: Connection(app, connections, 1000, 0.02), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
    writer.write(post("/generate_stream", generate("[[tokens=2]][[prefill=70]][[delay=0]]")))
    answer = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 10)
    writer.close()
    listener.close()
    body = answer.partition(b"\r\n\r\n")[2]
    assert body.startswith(b"3\r\n:\n\n\r\n3\r\n:\n\n\r\n")
    assert b":\n\n" not in body[body.index(b"data") :].replace(b"\n\n\r\n", b"")


async def test_tokenize_gives_offsets_in_characters(server: "DemoServer") -> None:
    text = "Zażółć, 🎉 <|im_end|>x"
    tokens = await body_of(server, "/tokenize", {"inputs": text})
    assert "".join(token["text"] for token in tokens) == text
    assert all(text[token["start"] : token["stop"]] == token["text"] for token in tokens)
    assert "<|im_end|>" in [token["text"] for token in tokens]
