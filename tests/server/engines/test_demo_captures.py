"""The demonstration engine's answers against the real engine's, byte for byte."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.server.engines.conftest import DemoServer, DemoServerFactory

# Everything that may differ from the capture: times, and nothing else. What the model chose (ids, texts,
# logprobs) comes from the script below; seeds are null in the captures and so are compared as well.
MASKS = (
    (re.compile(rb"(\r\ndate: )[^\r]+"), rb"\1DATE"),
    (re.compile(rb"(\r\nx-compute-time: )[0-9.]+"), rb"\1TIME"),
    (
        re.compile(rb"(\r\nx-(?:total-time|validation-time|queue-time|inference-time|time-per-token): )\d+"),
        rb"\1TIME",
    ),
)

SPACES = " " * 38
VERY = [-6.875, -7.03125, -7.15625, -7.28125]


def token(text: str, identity: int, logprob: float) -> dict[str, Any]:
    return {"id": identity, "text": text, "logprob": logprob, "special": False}


def very(logprob: float, other: float) -> dict[str, Any]:
    one = token("very", 939, logprob)
    return {**one, "top_tokens": [one, token(SPACES, 4071, other)]}


# What the captured model said, and how it saw its input.
SCRIPT: dict[str, Any] = {
    "replies": [
        {
            "contains": "What is Deep Learning?",
            "tokens": [
                *(
                    very(logprob, other)
                    for logprob, other in zip(VERY, [-7.3125, -7.21875, -7, -7], strict=True)
                ),
                token("akes", 2372, -7.34375),
            ],
        }
    ],
    "vocabulary": {"What": 967, " is": 355, " Deep": 2324, " Learning": 1793, "?": 37},
    "pieces": {"deep": ["de", "ep"]},
}
LIMITS = {"MODEL_ID": "/data/models/tinylm", "MAX_INPUT_TOKENS": "1024", "MAX_TOTAL_TOKENS": "2048"}

# Bodies that the captures name but do not hold. 42000 characters that are 6003 tokens with the first one;
# one byte beyond what is read.
LONG = json.dumps({"inputs": " tensor" * 5998 + " bbb ccc dd ee", "parameters": {"max_new_tokens": 5}})
HUGE = json.dumps({"inputs": "x" * 2_000_000})

NAMES = [
    "err_404",
    "err_405",
    "err_bad_json",
    "err_empty",
    "err_input_gt_max_input",
    "err_missing_field",
    "err_no_content_type",
    "err_overlong_generate",
    "err_overlong_generate_stream",
    "err_payload_too_large",
    "err_temperature",
    "err_temperature_stream",
    "generate",
    "generate_stream",
    "generate_stream_nodetails",
    "generate_stream_topn",
    "health",
    "info",
    "ping",
    "root_compat_stream",
    "tokenize",
]
OVERLOADED = ["overloaded_generate", "overloaded_generate_stream", "overloaded_health"]


def build_request(command: str) -> bytes:
    """The request that the captured curl command sent."""
    match = re.fullmatch(
        r"# curl -isS --raw -N (?:-X(?P<method>\w+) )?http://127.0.0.1:\d+(?P<path>/\S*)"
        r"(?: -H content-type: (?P<type>\S+) (?:-d|--data-binary) (?P<body>.*))?\n",
        command,
        re.DOTALL,
    )
    assert match is not None, command
    lines = [
        f"{match['method'] or 'GET'} {match['path']} HTTP/1.1",
        "host: demo",
        "user-agent: curl/8.14.1",
        "accept: */*",
    ]
    body = {"@long.json": LONG, "@huge.json": HUGE}.get(match["body"] or "", match["body"] or "").encode()
    if match["type"]:
        lines += [f"content-type: {match['type']}", f"content-length: {len(body)}"]
    if len(body) > 1024 * 1024:
        lines.append("expect: 100-continue")  # as curl does with so much
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def mask(answer: bytes) -> bytes:
    """Replace the times in the heads; bodies stay as they are."""
    match = re.match(rb"(?:HTTP/1\.1 [^\r]+(?:\r\n[^\r]+)*\r\n\r\n)+", answer)
    assert match is not None, answer
    head, body = match.group(), answer[match.end() :]
    for pattern, replacement in MASKS:
        head = pattern.sub(replacement, head)
    return head + body


@pytest.fixture(scope="module")
def server(demo_server: "DemoServerFactory") -> "DemoServer":
    return demo_server(SCRIPT, **LIMITS)


@pytest.fixture(scope="module")
def small_server(demo_server: "DemoServerFactory") -> "DemoServer":
    return demo_server(SCRIPT, MAX_CONCURRENT_REQUESTS="1", **LIMITS)


@pytest.mark.parametrize("name", NAMES)
async def test_the_whole_answer_is_the_captured_one(
    name: str, capture: Callable[[str], bytes], server: "DemoServer"
) -> None:
    answer = await server.exchange(build_request(capture(f"{name}.cmd").decode()))
    assert mask(answer) == mask(capture(f"{name}.http"))


@pytest.mark.parametrize("name", OVERLOADED)
async def test_the_whole_answer_under_overload_is_the_captured_one(
    name: str, capture: Callable[[str], bytes], small_server: "DemoServer"
) -> None:
    body = '{"inputs":"[[hang=0]]"}'
    head = (
        f"POST /generate_stream HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    )
    _, writer = await small_server.connect(f"{head}\r\n{body}".encode())
    await small_server.until(running=1)
    answer = await small_server.exchange(build_request(capture(f"{name}.cmd").decode()))
    writer.close()
    assert mask(answer) == mask(capture(f"{name}.http"))
    await small_server.until(running=0)


def test_every_capture_of_these_routes_is_compared(capture_names: list[str]) -> None:
    assert sorted({*NAMES, *OVERLOADED}) == capture_names


def test_what_is_masked_is_only_times() -> None:
    head = (
        b"HTTP/1.1 200 OK\r\ndate: %s\r\nx-compute-time: %s\r\nx-total-time: %s\r\nx-prompt-tokens: 6\r\n\r\n"
    )
    body = b"\r\ndate: now\r\n\r\n"
    assert mask(head % (b"now", b"0.1", b"12") + body) == head % (b"DATE", b"TIME", b"TIME") + body
