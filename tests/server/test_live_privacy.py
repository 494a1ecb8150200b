"""What people write is for the engine, the store and themselves: for no log, no metric and no status."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.fastersession.redis_server import RedisServer
from tests.server.support.live import Browser, until
from tests.server.support.processes import Process, free_port, listening, running
from tests.server.support.redis_pods import contents, inside, redis_sessions, session_keys

MARKER = "heron-4711"
KEY, SEALING, NEW_SEALING = "a-key-of-16-bytes-or-so", "a-sealing-key-of-16-bytes", "a-new-sealing-key-of-16"


class Server:
    """A `chatstream serve` that is ready, and what it said at log level debug."""

    def __init__(self, process: Process, base: str, inner: str) -> None:
        self.process = process
        self.base = base
        self._inner = inner

    async def told(self) -> str:
        """All of its log, its metrics and its status."""
        async with Browser(self._inner) as operator:
            metrics = (await operator.fetch("GET", "/metrics")).body.decode()
            status = (await operator.fetch("GET", "/status")).body.decode()
        assert "chatstream_turns_total" in metrics
        return "\n".join([*self.process.lines, metrics, status])


@asynccontextmanager
async def server(folder: Path, redis: RedisServer, **sessions: Any) -> AsyncIterator[Server]:  # noqa: ANN401 - settings
    keys = folder / "session-keys"
    keys.write_text(json.dumps([KEY]))
    config = {
        "port": 0,
        "metrics_port": free_port(),
        "log_level": "debug",
        "engine": {"type": "demo"},
        "sessions": redis_sessions(redis, secret_keys=[], secret_keys_file=str(keys), **sessions),
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    async with running("serve", "--config", str(path)) as process:
        base, inner = await listening(process)
        async with Browser(base) as browser:

            async def ready() -> bool:
                return (await browser.get("/readyz"))[0] == 200

            await until(ready, "readiness")
        yield Server(process, base, inner)
        process.terminate()
        assert await process.exit_code() == 0


async def leave(browser: Browser, text: str) -> None:
    chat = await browser.send(text)
    await chat.read_until("message")
    chat.leave()


async def test_no_word_of_a_conversation_is_in_logs_metrics_or_status(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with server(tmp_path, redis) as served, Browser(served.base) as browser:
        assert MARKER in (await browser.turn(f"[[echo]] {MARKER}")).text
        await browser.turn(None, regenerate=True)
        assert (await browser.turn(f"[[tokens=5]][[fail=2]] {MARKER}")).names == ["error"]
        assert (await browser.turn(f"[[fail=0]] {MARKER}")).status == 502
        await leave(browser, f"[[tokens=5]][[hang=2]] {MARKER}")
        await until(lambda: "client_disconnected_while_streaming" in str(served.process.lines), "its end")
        assert (await browser.turn(MARKER * 10_000)).status == 413
        assert (await browser.turn(f"{MARKER} " * 5_000)).status == 422
        refused = await browser.send(MARKER, headers={"Origin": "https://evil.example"})
        assert (await refused.whole()).status == 403
        assert MARKER.encode() in (await browser.fetch("GET", "/session")).body
        chat = await browser.send(f"[[echo]][[delay=30]] {MARKER}")
        await chat.read_until("message")
        redis.kill()
        assert (await chat.whole()).names == ["warning", "done"]
        assert (await browser.turn(MARKER)).status == 503
        assert (await browser.fetch("GET", "/session")).status == 503
        redis.start()
        await until(lambda: deleted(browser), "the deletion")
        told = await served.told()
        assert "history not kept" in told
        assert MARKER not in told
    assert MARKER not in "\n".join(served.process.lines)


async def deleted(browser: Browser) -> bool:
    return (await browser.fetch("DELETE", "/session")).status == 204


async def test_what_somebody_else_put_into_the_store_is_in_no_log(redis: RedisServer, tmp_path: Path) -> None:
    async with (
        server(tmp_path, redis) as served,
        Browser(served.base) as browser,
        inside(redis) as client,
    ):
        await browser.turn("[[tokens=1]]")
        [key] = await session_keys(client)
        fields: Any = await client.hgetall(key)
        for name, value in fields.items():
            for planted in (MARKER.encode(), value + MARKER.encode(), json.dumps({MARKER: MARKER}).encode()):
                await client.hset(key, name, planted)
                assert (await browser.turn("hi")).status in (200, 500, 503)
                await client.delete(key + b":lease")
            await client.hset(key, name, value)
        assert MARKER not in await served.told()


async def test_encrypted_sessions_outlive_the_process_and_nobody_reads_them_in_redis(
    redis: RedisServer, tmp_path: Path
) -> None:
    file = tmp_path / "encryption-keys"
    file.write_text(json.dumps([SEALING]))
    sealed = {"encryption_keys_file": str(file)}
    jar: Any = None
    async with server(tmp_path, redis, **sealed) as served, Browser(served.base) as browser:
        await browser.turn(f"[[tokens=2]] {MARKER}")
        jar = browser.jar
        async with inside(redis) as client:
            stored = await contents(client)
            assert len(await session_keys(client)) == 1
        for plain in (MARKER.encode(), b"tok1", b"assistant", b"chat_prompt", b"chatml"):
            assert plain not in stored
        assert MARKER not in await served.told()
    file.write_text(json.dumps([NEW_SEALING, SEALING]))
    async with server(tmp_path, redis, **sealed) as served, Browser(served.base, jar) as browser:
        assert MARKER in (await browser.turn("[[echo]]")).text
        assert MARKER in (await browser.fetch("GET", "/session")).body.decode()
        async with inside(redis) as client:
            assert MARKER.encode() not in await contents(client)
    file.write_text(json.dumps([NEW_SEALING]))
    async with server(tmp_path, redis, **sealed) as served, Browser(served.base, jar) as browser:
        chat = await browser.send("hi")
        assert (chat.status, (await chat.json())["error"]) == (500, "session_data_invalid")
        assert (await browser.fetch("DELETE", "/session")).status == 204
        assert (await browser.turn("[[tokens=1]]")).names == ["done"]
