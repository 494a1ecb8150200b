"""The demonstration engine's metrics and cancellations against the real engine's."""

import asyncio
import json
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.server.engines.conftest import DemoServer, DemoServerFactory

LIMITS = {"MAX_INPUT_TOKENS": "1024", "MAX_TOTAL_TOKENS": "2048"}
# The demonstration runs each stream by itself, so it never joins batches; these two tell of nothing else.
NOT_EXPORTED = {"tgi_batch_concat", "tgi_batch_concat_duration"}
SAMPLE = re.compile(r"(\w+)(\{.*\})? (-?[0-9.]+)")


def post(path: str, body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


def families(text: str) -> dict[str, tuple[list[str], list[str]]]:
    """By name: the comment lines, and the names and labels of the samples in their order."""
    result: dict[str, tuple[list[str], list[str]]] = {}
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        comments = [line for line in lines if line.startswith("#")]
        samples = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
        result[comments[-1].split()[2]] = (comments, samples)
    return result


def by_label(samples: list[str]) -> dict[str, list[str]]:
    """The samples of each `method`, whose own order is the exporter's accident."""
    result: dict[str, list[str]] = {}
    for sample in samples:
        match = re.search(r'method="\w+"', sample)
        result.setdefault(match.group() if match else "", []).append(sample)
    return result


def values(text: str) -> dict[str, float]:
    """Every sample but those that measure time, and but the buckets."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    pairs = (line.rpartition(" ")[::2] for line in lines if "duration" not in line and "_bucket" not in line)
    return {name: float(value) for name, value in pairs}


@pytest.fixture(scope="module")
def server(demo_server: "DemoServerFactory") -> "DemoServer":
    return demo_server(**LIMITS)


async def metrics(server: "DemoServer") -> str:
    return (await server.get("/metrics")).decode()


async def test_the_same_traffic_gives_the_same_families_in_the_same_format(
    capture: Callable[[str], bytes], demo_server: "DemoServerFactory"
) -> None:
    server = demo_server(**LIMITS)
    assert await metrics(server) == ""
    await server.exchange(post("/generate_stream", {"inputs": "[[tokens=3]]"}))
    await server.exchange(post("/generate", {"inputs": "a", "parameters": {"temperature": -1}}))
    ours, theirs = families(await metrics(server)), families(capture("metrics_full.txt").decode())
    assert set(ours) == set(theirs) - NOT_EXPORTED
    for name, (comments, samples) in ours.items():
        assert comments == theirs[name][0]
        assert by_label(samples) == by_label(theirs[name][1]), name


async def test_every_line_is_a_comment_a_sample_or_empty(server: "DemoServer") -> None:
    await server.exchange(post("/generate", {"inputs": "[[tokens=2]]"}))
    text = await metrics(server)
    assert text.endswith("\n\n")
    for line in text.splitlines():
        assert not line or line.startswith(("# HELP tgi_", "# TYPE tgi_")) or SAMPLE.fullmatch(line), line


async def test_counts_after_an_overload_are_the_captured_ones(
    capture: Callable[[str], bytes], demo_server: "DemoServerFactory"
) -> None:
    """One request that runs and is dropped while six others come and four of them are refused."""
    server = demo_server(MAX_CONCURRENT_REQUESTS="1", **LIMITS)
    running = {"inputs": "[[tokens=1500]][[delay=0]][[hang=160]]", "parameters": {"max_new_tokens": 1500}}
    reader, writer = await server.connect(post("/generate_stream", running))
    await reader.readuntil(b'"index":160,')
    for path in ("/generate", "/generate_stream", "/generate", "/generate_stream"):
        await server.exchange(post(path, {"inputs": "b"}))
    writer.close()
    await server.until(running=0, dropped=1)
    ours, theirs = values(await metrics(server)), values(capture("metrics_overloaded_after.txt").decode())
    # The captured chat requests are counted twice each; here there were five requests.
    assert (ours.pop("tgi_request_count"), theirs.pop("tgi_request_count")) == (5, 7)
    assert ours == theirs | {"tgi_request_input_length_sum": ours["tgi_request_input_length_sum"]}


CASES = {
    "generate_stream: close after 10 events": ("/generate_stream", "close"),
    "generate_stream: RST after 10 events": ("/generate_stream", "abort"),
    "generate (not streaming): close after 150 ms": ("/generate", "close"),
}


@pytest.mark.parametrize("case", CASES)
async def test_16b_a_client_that_goes_changes_the_metrics_as_captured(
    case: str, capture: Callable[[str], bytes], server: "DemoServer"
) -> None:
    captured = next(
        entry for entry in json.loads(capture("disconnect_metrics.json")) if entry["case"] == case
    )
    path, how = CASES[case]
    await server.reset()
    before = values(await metrics(server))
    body = {"inputs": "a b c d [[delay=5]][[tokens=1000]]", "parameters": {"max_new_tokens": 1000}}
    reader, writer = await server.connect(post(path, body))
    if path == "/generate_stream":
        await reader.readuntil(b'"index":10,')
    else:
        await until_decoding(server, before)
    if how == "abort":
        writer.transport.abort()
    writer.close()
    await server.until(running=0, dropped=1, last_dropped_phase="streaming")
    after = values(await metrics(server))
    changes = {
        name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)
    }
    expected = {name: new - old for name, (old, new) in captured["metric_changes"].items()}
    assert changes.keys() == expected.keys()
    check_changes(changes)
    check_changes(expected)


async def until_decoding(server: "DemoServer", before: dict[str, float]) -> None:
    name = 'tgi_batch_inference_count{method="decode"}'
    deadline = time.monotonic() + 10
    while values(await metrics(server)).get(name, 0) <= before.get(name, 0):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def check_changes(changes: dict[str, float]) -> None:
    """What holds for every dropped request, of the captured engine and of ours."""
    assert changes['tgi_request_failure{err="dropped"}'] == 1
    assert changes["tgi_request_count"] == 1
    assert changes["tgi_request_max_new_tokens_sum"] == 1000
    assert changes['tgi_batch_inference_count{method="prefill"}'] == 1
    calls = 1 + changes['tgi_batch_inference_count{method="decode"}']
    # The last call's token has no receiver any more.
    assert changes["tgi_request_skipped_tokens_count"] == calls - 1


async def test_16b_control_a_request_read_to_the_end(
    capture: Callable[[str], bytes], server: "DemoServer"
) -> None:
    captured = json.loads(capture("disconnect_metrics.json"))[-1]
    before = values(await metrics(server))
    body = {"inputs": "[[tokens=40]]", "parameters": {"max_new_tokens": 40}}
    await server.exchange(post("/generate_stream", body))
    after = values(await metrics(server))
    changes = {
        name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)
    }
    expected = {name: new - old for name, (old, new) in captured["metric_changes"].items()}
    assert changes == expected | {"tgi_request_input_length_sum": changes["tgi_request_input_length_sum"]}


async def test_the_gauges_tell_what_runs_and_what_waits(demo_server: "DemoServerFactory") -> None:
    server = demo_server(MAX_BATCH_SIZE="1", **LIMITS)
    connections = [await server.connect(post("/generate_stream", {"inputs": "[[hang=0]]"})) for _ in range(3)]
    await server.until(running=1, waiting=2)
    busy = values(await metrics(server))
    assert (busy["tgi_batch_current_size"], busy["tgi_queue_size"]) == (1, 2)
    connections[2][1].close()
    stats = await server.until(running=1, waiting=1, dropped=1)
    assert stats["last_dropped_phase"] == "queued"
    connections[0][1].close()
    await server.until(running=1, waiting=0, dropped=2)
    connections[1][1].close()
    await server.until(running=0, running_max=1, requests=3, last_dropped_phase="prefill")
    idle = values(await metrics(server))
    assert (idle["tgi_batch_current_size"], idle["tgi_queue_size"], idle["tgi_batch_current_max_tokens"]) == (
        0,
        0,
        0,
    )
