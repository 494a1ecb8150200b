"""A user's own data over real HTTP: the whole conversation to take away, and its deletion."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from starlette.types import Message

from chatstream.api.sessions import MOST_EXPORTS, STALL_SECONDS, Export
from chatstream.app import Service, build_service
from chatstream.errors import EngineFailed
from chatstream.turns.reply import ABORT_EXTENSION
from fastersession import Lease, MemoryStore, StoredSession, StoreUnreachable, Tail, Window
from tests.server.support.apps import demo_settings
from tests.server.support.engine import End, Fail, FakeEngine, Step, say
from tests.server.support.live import Browser, serving, until
from tests.server.support.seeding import add_seeding, seed
from tests.server.support.virtual import now, run_virtual


class Spying(MemoryStore):
    """Notes what is asked of it; fails what `fails` names, a number of reads later for "read"."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.pages: list[int] = []
        self.fails: str | None = None
        self.reads_left = 1

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if self.fails == name:
            self.reads_left -= 1
            if name != "read" or self.reads_left < 0:
                raise StoreUnreachable("Redis at redis.internal:6379 refuses the connection")

    async def load(
        self,
        session_id: str,
        /,
        *,
        lease: Lease | None = None,
        window: Window = Window(),  # noqa: B008
    ) -> StoredSession | None:
        self._note("load")
        return await super().load(session_id, lease=lease, window=window)

    async def read(self, session_id: str, journal: str, /, *, start: int, limit: int) -> Tail:
        self._note("read")
        tail = await super().read(session_id, journal, start=start, limit=limit)
        self.pages.append(len(tail.entries))
        return tail

    async def delete(self, session_id: str, /, *, expected_version: int | None = None) -> None:
        self._note("delete")
        await super().delete(session_id, expected_version=expected_version)


@asynccontextmanager
async def chatting(
    store: MemoryStore | None = None, **settings: object
) -> AsyncIterator[tuple[Service, Browser]]:
    service = build_service(demo_settings(**settings), store=store)
    add_seeding(service.public)
    async with serving(service.public) as base, Browser(base) as browser:
        yield service, browser


def said(export: dict[str, Any]) -> list[tuple[str, str, bool]]:
    return [(message["role"], message["text"], message["incomplete"]) for message in export["messages"]]


async def test_the_owner_gets_the_whole_conversation_as_a_file() -> None:
    async with chatting() as (_, browser):
        await browser.turn("[[tokens=2]] one \u00e9\U0001f600")
        await browser.turn("[[tokens=3]]")
        await browser.turn(None, regenerate=True)
        answer = await browser.fetch("GET", "/session")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="conversation.json"'
    assert answer.headers["cache-control"] == "no-store"
    assert "set-cookie" not in answer.headers
    assert said(answer.json) == [
        ("user", "[[tokens=2]] one \u00e9\U0001f600", False),
        ("assistant", "tok1 tok2 ", False),
        ("user", "[[tokens=3]]", False),
        ("assistant", "tok1 tok2 tok3 ", False),
    ]
    assert set(answer.json) == {"format", "created_at", "last_accessed_at", "messages"}
    assert set(answer.json["messages"][0]) == {"id", "role", "text", "incomplete"}
    assert answer.json["created_at"].endswith("+00:00")


async def test_a_reply_that_was_cut_is_marked() -> None:
    async with chatting() as (service, browser):
        chat = await browser.send("[[tokens=5]][[hang=2]]")
        while chat.text != "tok1 tok2 ":
            await chat.read()
        chat.leave()
        await service.chat_stream.drain(0)
        answer = await browser.fetch("GET", "/session")
    assert said(answer.json)[1] == ("assistant", "tok1 tok2 ", True)


@pytest.mark.parametrize("messages", [1, 2, 999, 2_001])
async def test_a_conversation_of_any_length_is_read_page_by_page(messages: int) -> None:
    store = Spying()
    async with chatting(store) as (_, browser):
        await seed(browser, messages)
        store.calls.clear()
        answer = await browser.fetch("GET", "/session")
    texts = [message["text"] for message in answer.json["messages"]]
    assert [text.split()[1] for text in texts] == [str(number) for number in range(messages)]
    assert max(store.pages, default=0) <= 500
    assert store.calls.count("load") == 1


async def test_what_is_left_out_of_the_prompt_is_in_the_export() -> None:
    async with chatting(chat={"max_turns": 1}) as (_, browser):
        for number in range(5):
            await browser.turn(f"[[tokens=1]] number {number}")
        assert len((await browser.fetch("GET", "/session")).json["messages"]) == 10


async def test_without_a_session_there_is_nothing_to_get() -> None:
    store = Spying()
    async with chatting(store) as (_, browser):
        answer = await browser.fetch("GET", "/session")
        assert (answer.status, answer.json["error"]) == (404, "no_session")
        assert "set-cookie" not in answer.headers
        assert store.calls == []
        await browser.turn("[[tokens=1]]")
        await store.aclose()
        assert (await browser.fetch("GET", "/session")).json["error"] == "no_session"


async def test_a_turn_after_the_store_lost_the_session_says_so_once() -> None:
    store = MemoryStore()
    async with chatting(store) as (_, browser):
        first = await browser.turn("[[tokens=1]]")
        assert first.names == ["done"]
        await store.aclose()
        lost = await browser.turn("[[tokens=1]]")
        assert lost.headers["x-chatstream-warning"] == "session-ended"
        assert [event.data["code"] for event in lost.events if event.name == "warning"] == ["session_ended"]
        assert (await browser.turn("[[tokens=1]]")).names == ["done"]


async def test_a_store_that_is_away_gives_no_half_conversation() -> None:
    store = Spying()
    async with chatting(store) as (service, browser):
        await seed(browser, 2_001)
        store.fails = "load"
        answer = await browser.fetch("GET", "/session")
        assert (answer.status, answer.json["error"]) == (503, "session_store_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        store.fails, store.reads_left = "read", 0
        answer = await browser.fetch("GET", "/session")
        assert (answer.status, answer.json["error"]) == (503, "session_store_unavailable")
        store.reads_left = len(store.pages) // 2 or 2
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError)):
            await browser.fetch("GET", "/session")
        store.fails = None
        assert len((await browser.fetch("GET", "/session")).json["messages"]) == 2_001
        sample = service.chat_stream.metrics.registry.get_sample_value
        assert sample("chatstream_session_store_errors_total", {"reason": "unreachable"}) == 3


async def test_deleting_removes_all_and_the_cookie_goes() -> None:
    store = MemoryStore()
    async with chatting(store) as (_, browser):
        await browser.turn("[[tokens=1]] heron")
        answer = await browser.fetch("DELETE", "/session")
        assert (answer.status, answer.body) == (204, b"")
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert len(store) == 0
        assert (await browser.fetch("GET", "/session")).status == 404
        after = await browser.turn("[[echo]]")
        assert after.names == ["done"]
        assert "heron" not in after.text


async def test_deleting_nothing_is_no_error() -> None:
    store = Spying()
    async with chatting(store) as (_, browser):
        answer = await browser.fetch("DELETE", "/session")
        assert (answer.status, "set-cookie" in answer.headers, store.calls) == (204, False, [])
        await browser.turn("[[tokens=1]]")
        await store.aclose()
        answer = await browser.fetch("DELETE", "/session")
        assert (answer.status, "Max-Age=0" in answer.headers["set-cookie"]) == (204, True)
        assert len(store) == 0
        forged = await browser.fetch("DELETE", "/session", {"Cookie": "session=forged"})
        assert forged.status == 204


async def test_a_running_turn_keeps_its_session_from_being_deleted() -> None:
    store = MemoryStore()
    async with chatting(store) as (_, browser):
        await browser.turn("[[tokens=1]]")
        chat = await browser.send("[[tokens=3]][[delay=100]]")
        answer = await browser.fetch("DELETE", "/session")
        assert (answer.status, answer.json["error"]) == (409, "turn_in_progress")
        assert int(answer.headers["retry-after"]) >= 1
        assert "set-cookie" not in answer.headers
        assert (await chat.whole()).names == ["done"]
        assert (await browser.fetch("DELETE", "/session")).status == 204
        assert len(store) == 0


@pytest.mark.parametrize("operation", ["load", "delete"])
async def test_a_deletion_that_failed_can_be_tried_again(operation: str) -> None:
    store = Spying()
    async with chatting(store) as (_, browser):
        await browser.turn("[[tokens=1]]")
        store.fails = operation
        answer = await browser.fetch("DELETE", "/session")
        assert (answer.status, answer.json["error"]) == (503, "session_store_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert "set-cookie" not in answer.headers
        store.fails = None
        assert len((await browser.fetch("GET", "/session")).json["messages"]) == 2
        assert (await browser.fetch("DELETE", "/session")).status == 204
        assert len(store) == 0


@pytest.mark.parametrize(
    "planted",
    [
        StoredSession('{"chat_prompt":"text"', 4e9, 4e9, 1000.0, version=1),
        StoredSession('{"chat_prompt":"text"}', 4e9, 4e9, 1000.0, version=1),
        StoredSession("{}", 1e300, 1e300, 1000.0, version=1),
    ],
)
async def test_what_cannot_be_read_is_no_conversation_and_can_be_deleted(planted: StoredSession) -> None:
    class Tampered(MemoryStore):
        tampered = False

        async def load(self, *arguments: Any, **keywords: Any) -> StoredSession | None:  # noqa: ANN401 - passed on
            found = await super().load(*arguments, **keywords)
            if not self.tampered or found is None:
                return found
            return planted

    store = Tampered()
    async with chatting(store) as (_, browser):
        await browser.turn("[[tokens=1]]")
        store.tampered = True
        for answer in (await browser.fetch("GET", "/session"), await browser.fetch("GET", "/session")):
            assert (answer.status, answer.json["error"]) == (500, "session_data_invalid")
        assert (await browser.fetch("DELETE", "/session")).status == 204
        assert len(store) == 0


async def test_another_sites_page_can_neither_chat_nor_delete() -> None:
    allowed = "https://www.example.com"
    sessions = {**demo_settings().sessions.model_dump(), "allowed_origins": [allowed]}
    sessions["secret_keys"] = [key.get_secret_value() for key in demo_settings().sessions.secret_keys]
    async with chatting(sessions=sessions) as (_, browser):
        await browser.turn("[[tokens=1]]")
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        answer = await browser.fetch("DELETE", "/session", foreign)
        assert (answer.status, answer.json["error"]) == (403, "cross_origin_request")
        assert (await (await browser.send("hi", headers=foreign)).whole()).status == 403
        assert len((await browser.fetch("GET", "/session")).json["messages"]) == 2
        ours = {"Origin": allowed, "Sec-Fetch-Site": "cross-site"}
        assert (await browser.fetch("DELETE", "/session", ours)).status == 204


async def test_a_reader_that_goes_stops_the_reading() -> None:
    class Slow(Spying):
        async def read(self, *arguments: Any, **keywords: Any) -> Tail:  # noqa: ANN401 - passed on
            await asyncio.sleep(0.05)
            return await super().read(*arguments, **keywords)

    store = Slow()
    async with chatting(store) as (_, browser):
        await seed(browser, 9_999)
        reading = asyncio.create_task(browser.fetch("GET", "/session"))
        await until(lambda: sum(store.pages) >= 2_000, "the beginning of the reading")
        reading.cancel()
        await asyncio.wait((reading,))
        await seed(browser, 1)  # a request after it
        assert sum(store.pages) < 9_000


async def test_no_more_than_a_few_conversations_are_sent_at_once() -> None:
    class Gated(Spying):
        gate = asyncio.Event()

        async def read(self, *arguments: Any, **keywords: Any) -> Tail:  # noqa: ANN401 - passed on
            await self.gate.wait()
            return await super().read(*arguments, **keywords)

    store = Gated()
    async with chatting(store) as (_, browser):
        await seed(browser, 1_001)
        reading = [asyncio.create_task(browser.fetch("GET", "/session")) for _ in range(MOST_EXPORTS + 1)]
        done, running = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
        assert [(task.result().status, task.result().json["error"]) for task in done] == [
            (429, "too_many_requests")
        ]
        store.gate.set()
        assert {(await task).status for task in running} == {200}
        again = [browser.fetch("GET", "/session") for _ in range(MOST_EXPORTS)]
        assert {answer.status for answer in await asyncio.gather(*again)} == {200}


def test_a_reader_that_takes_nothing_is_cut_off() -> None:
    async def main() -> None:
        over: list[bool] = []
        aborted: list[bool] = []

        async def pages() -> AsyncGenerator[bytes, None]:
            yield b"more"

        async def receive() -> Message:
            await asyncio.Event().wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()

        extensions = {ABORT_EXTENSION: {"abort": lambda: aborted.append(True)}}
        scope = {"type": "http", "method": "GET", "headers": [], "extensions": extensions}
        await Export(b"first", pages(), lambda: over.append(True))(scope, receive, send)
        assert (over, aborted) == ([True], [True])
        assert now() == pytest.approx(STALL_SECONDS)

    run_virtual(main())


async def test_a_first_turn_that_failed_is_no_lost_conversation() -> None:
    async with chatting() as (_, browser):
        assert (await browser.turn("[[fail=0]]")).status == 502
        after = await browser.turn("[[tokens=1]]")
        assert after.names == ["done"]
        assert "x-chatstream-warning" not in after.headers
        assert len((await browser.fetch("GET", "/session")).json["messages"]) == 2


async def test_a_reply_that_could_not_be_made_again_is_still_there() -> None:
    steps: list[Step] = [say("first"), End()]
    service = build_service(demo_settings(), engine=FakeEngine(script=lambda request: steps))
    async with serving(service.public) as base, Browser(base) as browser:
        await browser.turn("hi")
        steps[:] = [say("half"), Fail(EngineFailed("broke"))]
        assert (await browser.turn(None, regenerate=True)).names == ["error"]
        assert said((await browser.fetch("GET", "/session")).json)[1:] == [("assistant", "first", False)]
        steps[:] = [say("second"), End()]
        assert (await browser.turn(None, regenerate=True)).names == ["done"]
        assert said((await browser.fetch("GET", "/session")).json) == [
            ("user", "hi", False),
            ("assistant", "second", False),
        ]
