"""The application as `chatstream serve` builds it: its HTTP surface and its metrics, which others rely on."""

import asyncio
from typing import Any, ClassVar

import aiohttp
import pytest

from chatstream.app import build_service
from chatstream.engines import DemoEngine
from chatstream.settings import ConfigurationError
from fastersession import Lease, MemoryStore, StoredSession, StoreUnavailable, Window
from fastersession.keys import fingerprint
from fastersession.records import DEFAULT_WINDOW
from tests.server.support.apps import KEY, demo_settings
from tests.server.support.engine import FakeEngine
from tests.server.support.live import Browser, serving, until

METRICS = [
    "chatstream_generations_in_progress",
    "chatstream_generations_limit",
    "chatstream_queue_length",
    "chatstream_queue_limit",
    "chatstream_queue_wait_seconds_bucket",
    "chatstream_time_to_first_token_seconds_bucket",
    "chatstream_inter_token_seconds_bucket",
    "chatstream_turn_duration_seconds_bucket",
    'chatstream_turns_total{outcome="success"}',
    'chatstream_disconnects_total{phase="prefill"}',
    "chatstream_disconnect_release_seconds_bucket",
    'chatstream_rejected_total{reason="invalid_json"}',
    "chatstream_prompt_tokens_total",
    "chatstream_generated_tokens_total",
    'chatstream_discarded_tokens_total{outcome="client_disconnected_before_streaming"}',
    "chatstream_engine_up",
    'chatstream_session_store_seconds_bucket{le="0.0005",operation="load"}',
    'chatstream_session_store_errors_total{reason="unreachable"} 0.0',
    "chatstream_session_store_circuit_open 0.0",
]
"""The names and labels that architecture.md lists."""


class BrokenStore(MemoryStore):
    """Fails at loading, or at saving only."""

    def __init__(self, *, loads: bool) -> None:
        super().__init__()
        self._loads = loads

    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        if not self._loads:
            raise StoreUnavailable("Redis at redis.invalid:6379 refuses the connection")
        return await super().load(session_id, lease=lease, window=window)

    async def save(self, *arguments: Any, **keywords: Any) -> int:  # noqa: ANN401 - it never looks at them
        raise StoreUnavailable("Redis at redis.invalid:6379 refuses the connection")

    async def ping(self) -> None:
        raise StoreUnavailable("Redis at redis.invalid:6379 refuses the connection")


async def ready(browser: Browser) -> bool:
    return (await browser.get("/readyz"))[0] == 200


async def test_18d_get_load_and_probes() -> None:
    service = build_service(demo_settings())
    async with serving(service.public) as base, Browser(base) as browser:
        await until(lambda: ready(browser), "readiness")
        chat = await browser.send("[[tokens=3]][[delay=100]]")
        worker = {"processing": 1, "waiting": 0, "limit": 2, "queue_limit": 5}
        assert await browser.get("/get_load") == (200, {"workers": [worker]})
        await chat.whole()
        assert await browser.get("/get_load") == (200, {"workers": [{**worker, "processing": 0}]})
        service.chat_stream.start_draining()
        assert await browser.get("/readyz") == (503, {"status": "draining"})
        assert (await browser.get("/healthz"))[0] == 200
        late = await browser.send()
        assert (late.status, (await late.json())["error"]) == (503, "draining")


async def test_readiness_follows_the_engine() -> None:
    engine = FakeEngine()
    service = build_service(demo_settings(), engine=engine)
    async with serving(service.public) as base, Browser(base) as browser:
        await until(lambda: ready(browser), "readiness")
    engine.closed = True
    async with serving(service.public) as base, Browser(base) as browser:
        assert await browser.get("/readyz") == (503, {"status": "engine_down"})


async def test_the_metrics_have_the_names_that_others_rely_on() -> None:
    service = build_service(demo_settings())
    async with serving(service.public) as base, serving(service.inner) as inner, Browser(base) as browser:
        await browser.turn("[[tokens=3]]")
        gone = asyncio.create_task(browser.send("[[prefill=60000]]"))
        await until(lambda: service.chat_stream.load().processing == 1, "the second turn")
        gone.cancel()
        await until(lambda: service.chat_stream.load().processing == 0, "its end")
        async with aiohttp.ClientSession() as session:
            await session.post(f"{base}/chat_stream", data=b"{")
            async with session.get(f"{inner}/metrics") as response:
                assert response.content_type == "text/plain"
                text = await response.text()
    assert [name for name in METRICS if f"\n{name}" not in text] == []
    assert "chatstream_generated_tokens_total 3.0" in text


async def test_status_tells_the_operator_what_it_reads() -> None:
    service = build_service(demo_settings())
    async with (
        serving(service.public) as base,
        serving(service.inner) as inner,
        Browser(base) as browser,
        Browser(inner) as operator,
    ):
        await until(lambda: ready(browser), "readiness")
        status, told = await operator.get("/status")
    assert status == 200
    assert told == {
        "engine": {"up": True, "model_id": "chatstream/demo"},
        "sessions": {
            "store": "memory",
            "reachable": True,
            "error": None,
            "keys": [fingerprint(KEY)],
            "encryption_keys": [],
        },
        "load": {"processing": 0, "waiting": 0, "limit": 2, "queue_limit": 5},
        "draining": False,
        "plain_http_with_secure_cookie": 0,
    }


async def test_26a_a_secure_cookie_over_plain_http_is_reported() -> None:
    sessions = {"secret_keys": [KEY], "cookie": {"secure": True}}
    service = build_service(demo_settings(sessions=sessions))
    async with serving(service.public, trusted_proxies=("127.0.0.1",)) as base, Browser(base) as browser:
        chat = await browser.turn("[[tokens=1]]")
        assert chat.headers["x-chatstream-warning"] == "secure-cookie-over-plain-http"
        assert chat.names == ["warning", "done"]
        assert chat.events[0].data["code"] == "secure_cookie_over_plain_http"
        assert "Secure" in chat.headers["set-cookie"]
        behind_https = await browser.send("[[tokens=1]]", headers={"X-Forwarded-Proto": "https"})
        assert "x-chatstream-warning" not in behind_https.headers
        assert (await behind_https.whole()).names == ["done"]
    async with serving(service.inner) as inner, Browser(inner) as operator:
        assert (await operator.get("/status"))[1]["plain_http_with_secure_cookie"] == 1


async def test_26b_a_proxy_that_is_not_trusted_is_not_believed() -> None:
    sessions = {"secret_keys": [KEY], "cookie": {"secure": True}}
    service = build_service(demo_settings(sessions=sessions))
    async with serving(service.public, trusted_proxies=("10.0.0.0/8",)) as base, Browser(base) as browser:
        chat = await browser.send("[[tokens=1]]", headers={"X-Forwarded-Proto": "https"})
        assert "x-chatstream-warning" in chat.headers
        await chat.whole()


async def test_28a_a_store_that_is_away_is_503_and_no_empty_history() -> None:
    engine = DemoEngine()
    service = build_service(demo_settings(), engine=engine, store=BrokenStore(loads=False))
    async with serving(service.public) as base, serving(service.inner) as inner, Browser(base) as browser:
        await until(lambda: ready(browser), "readiness, which does not depend on the store")
        chat = await browser.send("hi")
        assert (chat.status, (await chat.json())["error"]) == (503, "session_store_unavailable")
        assert int(chat.headers["retry-after"]) >= 1
        assert engine.stats.requests == 0
        assert service.chat_stream.load().processing == 0
        async with Browser(inner) as operator:
            sessions = (await operator.get("/status"))[1]["sessions"]
        assert sessions["reachable"] is False
        assert "redis.invalid" in sessions["error"]


async def test_28b_a_reply_whose_save_failed_arrives_with_a_warning() -> None:
    service = build_service(demo_settings(), store=BrokenStore(loads=True))
    async with serving(service.public) as base, Browser(base) as browser:
        chat = await browser.turn("[[tokens=3]]")
        assert chat.text == "tok1 tok2 tok3 "
        assert chat.names == ["warning", "done"]
        assert [event.data["code"] for event in chat.events if event.name == "warning"] == [
            "history_not_saved"
        ]


async def test_28d_a_turn_reads_its_session_once_and_writes_it_once() -> None:
    class Counting(MemoryStore):
        operations: ClassVar[list[str]] = []

        async def load(
            self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
        ) -> StoredSession | None:
            self.operations.append("load")
            return await super().load(session_id, lease=lease, window=window)

        async def save(self, *arguments: Any, **keywords: Any) -> int:  # noqa: ANN401 - passed on
            self.operations.append("save")
            return await super().save(*arguments, **keywords)

        async def release(self, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401 - passed on
            self.operations.append("release")
            await super().release(*arguments, **keywords)

        async def touch(self, *arguments: Any, **keywords: Any) -> None:  # noqa: ANN401 - passed on
            self.operations.append("touch")
            await super().touch(*arguments, **keywords)

    store = Counting()
    service = build_service(demo_settings(), store=store)
    async with serving(service.public) as base, Browser(base) as browser:
        await browser.turn("[[tokens=2]]")
        assert store.operations == ["load", "save"]
        await browser.turn("[[tokens=2]]")
        assert store.operations == ["load", "save"] * 2


async def test_28c_a_store_that_hangs_is_503_in_time() -> None:
    class Hanging(MemoryStore):
        async def load(
            self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
        ) -> StoredSession | None:
            await asyncio.Event().wait()
            return None

    service = build_service(demo_settings(), store=Hanging())
    async with serving(service.public) as base, Browser(base) as browser, asyncio.timeout(5):
        chat = await browser.send("hi")
        assert (chat.status, (await chat.json())["error"]) == (503, "session_store_unavailable")


def test_26c_there_is_no_default_key() -> None:
    with pytest.raises(ConfigurationError, match="CHATSTREAM_SESSIONS__SECRET_KEYS"):
        build_service(demo_settings(sessions={}))


async def test_07c_a_body_over_the_limit_over_the_wire() -> None:
    service = build_service(demo_settings())
    async with serving(service.public) as base, Browser(base) as browser:
        chat = await browser.send("x" * 1_000_000)
        assert (chat.status, (await chat.json())["error"]) == (413, "body_too_large")


async def test_no_server_header_tells_what_runs() -> None:
    service = build_service(demo_settings())
    async with serving(service.public) as base, Browser(base) as browser:
        chat = await browser.turn("[[tokens=1]]")
        assert "server" not in chat.headers
