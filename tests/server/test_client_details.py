"""An error tells a client no host of ours; and a stored conversation that is none stays as it is."""

import pytest

from chatstream.app import build_service
from chatstream.errors import (
    EngineError,
    EngineFailed,
    EngineOverloaded,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    problem_of,
)
from fastersession import Change, Lease, MemoryStore, StoredSession, StoreUnavailable, Window
from fastersession.records import DEFAULT_WINDOW
from tests.server.support.apps import demo_settings
from tests.server.support.live import Browser, serving

HOST = "redis.internal:6379"


class AwayStore(MemoryStore):
    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        raise StoreUnavailable(f"Redis at {HOST}: connection refused")


class TamperedStore(MemoryStore):
    """Every session holds `attributes`."""

    def __init__(self, attributes: str) -> None:
        super().__init__()
        self.attributes = attributes
        self.saved: list[str] = []

    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        await super().load(session_id, lease=lease, window=window)
        return StoredSession(self.attributes, 4e9, 4e9, 1000.0, version=3)

    async def save(
        self, session_id: str, /, change: Change, *, ttl: float, release: str | None = None
    ) -> int:
        if change.record is not None:
            self.saved.append(change.record.attributes)
        return change.expected_version + 1


async def test_28g_the_client_is_not_told_where_the_store_is_but_the_log_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    service = build_service(demo_settings(), store=AwayStore())
    async with serving(service.public) as base, Browser(base) as browser:
        chat = await browser.send("hi")
        assert chat.status == 503
        assert (await chat.json()) == {
            "error": "session_store_unavailable",
            "detail": "The session store cannot be reached.",
        }
    assert any(HOST in getattr(record, "error", "") for record in caplog.records)


@pytest.mark.parametrize("kind", [EngineUnavailable, EngineFailed, EngineTimeout, EngineOverloaded])
def test_06k_an_engines_error_names_no_host_to_the_client(kind: type[EngineError]) -> None:
    told = problem_of(kind("Cannot connect to host engine.internal:3000"))
    assert told.code == kind.code
    assert "internal" not in told.detail


def test_06l_a_refusal_keeps_the_engines_words() -> None:
    assert problem_of(EngineRejected("`inputs` cannot be empty")).detail == "`inputs` cannot be empty"


@pytest.mark.parametrize(
    "stored",
    [
        '{"chat_prompt":{"messages":[]}}',
        '{"chat_prompt":"text"}',
        '{"chat_prompt":{"$type":"chatstream.ChatPrompt","$data":{"version":3,"messages":[]}}}',
        '{"chat_prompt":{"$type":"chatstream.Conversation","$data":{}}}',
        '{"chat_prompt":{"$type":"chatstream.ChatPrompt","$data":[]}}',
        "no JSON",
    ],
)
async def test_23j_a_stored_conversation_that_cannot_be_read_is_an_error_and_is_kept(stored: str) -> None:
    store = TamperedStore(stored)
    service = build_service(demo_settings(), store=store)
    async with serving(service.public) as base, Browser(base) as browser:
        for _ in range(2):  # the lease is given back: the second is not answered with a conflict
            chat = await browser.send("hi")
            assert (chat.status, (await chat.json())["error"]) == (500, "session_data_invalid")
    assert store.saved == []
    assert service.chat_stream.load().processing == 0
