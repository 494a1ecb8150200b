"""Behind a real uvicorn: streams are not buffered, and a client's going is heard at once."""

import asyncio

import aiohttp

from fastersession import FasterSessionMiddleware, Lease, LeaseHeld, MemoryStore
from fastersession.asgi import Receive, Scope, Send
from tests.fastersession.apps import the_session
from tests.fastersession.browser import KEY
from tests.fastersession.serving import serving
from tests.fastersession.spy import eventually


async def test_27_1_a_stream_is_not_buffered() -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        the_session(scope).get_session()["n"] = 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"second"})

    wrapped = FasterSessionMiddleware(app, secret_key=KEY, store=MemoryStore())
    async with serving(wrapped) as url, aiohttp.ClientSession() as client, client.get(url) as response:
        assert response.cookies["session"]["httponly"]
        assert await response.content.readany() == b"first"
        go_on.set()
        assert await response.content.readany() == b"second"


async def test_27_2_a_disconnect_passes_and_the_session_is_saved_and_free() -> None:
    store = MemoryStore()
    heard = asyncio.Event()
    ids: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        session = the_session(scope)
        await session.load(lease_seconds=300)
        ids.append(session.id)
        session.get_session()["partial"] = "tok"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"tok", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        heard.set()

    wrapped = FasterSessionMiddleware(app, secret_key=KEY, store=store)
    async with serving(wrapped) as url, aiohttp.ClientSession() as client:
        async with client.get(url) as response:
            await response.content.readany()
            response.close()
        async with asyncio.timeout(5):
            await heard.wait()

        async def is_saved_and_free() -> bool:
            try:
                found = await store.load(ids[0], lease=Lease("next", 1))
            except LeaseHeld:
                return False
            return found is not None and found.attributes == '{"partial":"tok"}'

        await eventually(is_saved_and_free)


async def test_27_3_a_browser_keeps_its_session_over_real_requests() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        attributes = the_session(scope).get_session()
        attributes["n"] = attributes.get("n", 0) + 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(attributes["n"]).encode()})

    wrapped = FasterSessionMiddleware(app, secret_key=KEY, store=MemoryStore())
    jar = aiohttp.CookieJar(unsafe=True)
    async with serving(wrapped) as url, aiohttp.ClientSession(cookie_jar=jar) as client:
        seen = [await (await client.get(url)).text() for _ in range(3)]
    assert seen == ["1", "2", "3"]
