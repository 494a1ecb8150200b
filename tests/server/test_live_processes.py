"""`chatstream serve` before `chatstream demo-engine`: real processes, real signals."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from tests.server.support.live import Browser, until
from tests.server.support.processes import Process, free_port, listening, port_open, running

KEYS = json.dumps(["a key of more than sixteen bytes"])
ENGINE_KEY = "the key of the engine"


@asynccontextmanager
async def engine() -> AsyncIterator[int]:
    port = free_port()
    environment = {"PORT": str(port), "HOSTNAME": "127.0.0.1", "API_KEY": ENGINE_KEY}
    async with running("demo-engine", environment=environment):
        await until(lambda: port_open(port), "the engine's port")
        yield port


@asynccontextmanager
async def server(
    folder: Path, engine_port: int, drain: float = 30
) -> AsyncIterator[tuple[Process, str, str]]:
    """The process and its two URLs, once it is ready."""
    config = {
        "port": 0,
        "metrics_port": free_port(),
        "engine": {"type": "tgi", "url": f"http://127.0.0.1:{engine_port}"},
        "sessions": {"cookie": {"secure": False}},
        "drain": {"timeout": drain},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    environment = {
        "CHATSTREAM_CONFIG": str(path),
        "CHATSTREAM_SESSIONS__SECRET_KEYS": KEYS,
        "CHATSTREAM_ENGINE__API_KEY": ENGINE_KEY,
    }
    async with running("serve", environment=environment) as process:
        base, inner = await listening(process)
        async with Browser(base) as browser:

            async def ready() -> bool:
                return (await browser.get("/readyz"))[0] == 200

            await until(ready, "readiness")
        yield process, base, inner


async def engine_stats(port: int) -> dict[str, int]:
    async with Browser(f"http://127.0.0.1:{port}") as browser:
        return (await browser.get("/_demo/stats"))[1]


async def test_01c_a_turn_through_both_processes(tmp_path: Path) -> None:
    async with engine() as port, server(tmp_path, port) as (process, base, inner), Browser(base) as browser:
        chat = await browser.turn("[[tokens=20]] with a key that nobody may see: hunter2")
        assert chat.text == "".join(f"tok{number} " for number in range(1, 21))
        assert chat.names == ["done"]
        usage = chat.events[-1].data["usage"]
        assert usage["completion_tokens"] == 20
        assert usage["total_tokens"] == usage["prompt_tokens"] + 20
        assert "tok20" in (await browser.turn("[[echo]]")).text
        async with Browser(inner) as operator:
            status = (await operator.get("/status"))[1]
        assert status["engine"]["up"] is True
        await until(lambda: process.log("turn ended") is not None, "the log's line")
    everything = "\n".join(process.lines)
    for secret in ("hunter2", "sixteen bytes", ENGINE_KEY, "tok20"):
        assert secret not in everything


async def test_06i_a_failure_of_the_engine_is_visible(tmp_path: Path) -> None:
    async with engine() as port, server(tmp_path, port) as (_, base, _), Browser(base) as browser:
        late = await browser.turn("[[tokens=9]][[fail=3]]")
        assert late.text == "tok1 tok2 tok3 "
        assert late.names == ["error"]
        assert late.events[-1].data["code"] == "engine_failed"
        early = await browser.send("[[fail=0]]")
        assert (early.status, (await early.json())["error"]) == (502, "engine_failed")


async def test_16f_the_engine_process_sees_the_disconnect(tmp_path: Path) -> None:
    async with engine() as port, server(tmp_path, port) as (_, base, _):
        for directives in ("[[prefill=60000]]", "[[tokens=3]][[delay=60000]]"):
            before = await engine_stats(port)
            async with Browser(base) as browser:
                sending = asyncio.create_task(browser.send(directives))

                async def begun(seen: int = before["requests"]) -> bool:
                    return (await engine_stats(port))["requests"] == seen + 1

                await until(begun, "the generation's start")
                sending.cancel()
                await asyncio.wait((sending,))

            async def dropped(seen: int = before["dropped"]) -> bool:
                stats = await engine_stats(port)
                return (stats["dropped"], stats["running"]) == (seen + 1, 0)

            await until(dropped, "the engine's drop")


async def test_18e_sigterm_lets_streams_finish_and_refuses_new_work(tmp_path: Path) -> None:
    async with engine() as port, server(tmp_path, port) as (process, base, _):
        async with Browser(base) as browser, Browser(base) as late:
            chat = await browser.send("[[tokens=10]][[delay=100]]")
            await chat.read_until("message")
            process.terminate()
            await until(lambda: process.log("draining") is not None, "the drain")
            assert (await late.get("/readyz"))[0] == 503
            assert (await late.get("/healthz"))[0] == 200
            refused = await late.send("hi")
            assert (refused.status, (await refused.json())["error"]) == (503, "draining")
            assert (await chat.whole()).text.endswith("tok10 ")
            assert chat.names == ["done"]
        assert await process.exit_code() == 0
        assert [line["outcome"] for line in process.logs if line["event"] == "turn ended"] == ["success"]


async def test_18f_at_the_end_of_the_drain_streams_end_with_a_frame(tmp_path: Path) -> None:
    async with engine() as port, server(tmp_path, port, drain=0.5) as (process, base, _):
        async with Browser(base) as browser:
            chat = await browser.send("[[tokens=3]][[delay=60000]]")
            await chat.read_until("message")
            process.terminate()
            assert (await chat.read_until("error")).data["code"] == "shutting_down"
            await chat.whole()
        assert await process.exit_code() == 0
        line = process.log("turn ended")
        assert line is not None
        assert (line["outcome"], line["cause"]) == ("unknown_error_occurred", "shutting_down")


async def test_18g_a_second_signal_ends_the_streams_at_once(tmp_path: Path) -> None:
    async with engine() as port, server(tmp_path, port, drain=300) as (process, base, _):
        async with Browser(base) as browser:
            chat = await browser.send("[[tokens=3]][[delay=60000]]")
            await chat.read_until("message")
            process.terminate()
            await until(lambda: process.log("draining") is not None, "the drain")
            process.terminate()
            assert (await chat.read_until("error")).data["code"] == "shutting_down"
            await chat.whole()
        assert await process.exit_code() == 0


async def test_an_idle_server_ends_at_once(tmp_path: Path) -> None:
    async with engine() as port, server(tmp_path, port) as (process, _, _):
        process.terminate()
        assert await process.exit_code() == 0


async def test_the_server_outlives_its_engine(tmp_path: Path) -> None:
    async with engine() as port:
        pass
    config_error = await refused_start(tmp_path, port)
    assert config_error == (503, "engine_unavailable")


async def refused_start(folder: Path, engine_port: int) -> tuple[int, str]:
    """A turn where nothing listens on the engine's port."""
    environment = {
        "CHATSTREAM_PORT": "0",
        "CHATSTREAM_METRICS_PORT": str(free_port()),
        "CHATSTREAM_SESSIONS__SECRET_KEYS": KEYS,
        "CHATSTREAM_SESSIONS__COOKIE__SECURE": "false",
        "CHATSTREAM_ENGINE__URL": f"http://127.0.0.1:{engine_port}",
    }
    async with running("serve", environment=environment) as process:
        base, _ = await listening(process)
        async with Browser(base) as browser:
            assert (await browser.get("/readyz"))[0] == 503
            chat = await browser.send("hi")
            return chat.status, (await chat.json())["error"]


async def test_dev_needs_nothing(tmp_path: Path) -> None:
    port = free_port()
    async with running("dev", "--port", str(port)) as process:
        await until(lambda: port_open(port), "the port")
        async with Browser(f"http://127.0.0.1:{port}") as browser:
            assert (await browser.turn("[[tokens=2]]")).text == "tok1 tok2 "
        process.terminate()
        assert await process.exit_code() == 0


async def test_settings_that_cannot_be_used_end_with_2_and_say_why(tmp_path: Path) -> None:
    wrong = tmp_path / "config.yaml"
    wrong.write_text("engine: {typ: demo}\n")
    async with running("serve", "--config", str(wrong)) as process:
        assert await process.exit_code() == 2
        assert any("engine.typ: Extra inputs are not permitted" in line for line in process.lines)
    async with running("serve") as process:
        assert await process.exit_code() == 2
        assert any("CHATSTREAM_SESSIONS__SECRET_KEYS" in line for line in process.lines)


async def test_a_port_in_use_ends_with_2_and_says_which(tmp_path: Path) -> None:
    async with engine() as port, running("dev", "--port", str(port)) as process:
        assert await process.exit_code() == 2
        assert any(f"port {port}" in line for line in process.lines)


@pytest.mark.parametrize("url", ["http://hunter2", "redis://:hunter2/x@host:1/0", "redis://host?hunter2=1"])
async def test_a_redis_url_that_is_none_ends_with_2_and_shows_no_part_of_it(url: str) -> None:
    environment = {
        "CHATSTREAM_SESSIONS__SECRET_KEYS": KEYS,
        "CHATSTREAM_SESSIONS__STORE": "redis",
        "CHATSTREAM_SESSIONS__REDIS_URL": url,
    }
    async with running("serve", environment=environment) as process:
        assert await process.exit_code() == 2
        assert any("sessions.redis_url" in line for line in process.lines)
        assert not any("hunter2" in line for line in process.lines)


async def test_a_ca_file_that_is_none_ends_with_2_and_says_which(tmp_path: Path) -> None:
    missing = tmp_path / "ca.crt"
    environment = {
        "CHATSTREAM_SESSIONS__SECRET_KEYS": KEYS,
        "CHATSTREAM_SESSIONS__STORE": "redis",
        "CHATSTREAM_SESSIONS__REDIS_URL": "rediss://:hunter2@127.0.0.1:6379/0",
        "CHATSTREAM_SESSIONS__REDIS_CA_FILE": str(missing),
    }
    async with running("serve", environment=environment) as process:
        assert await process.exit_code() == 2
        assert any(str(missing) in line and "redis_ca_file" in line for line in process.lines)
        assert not any("hunter2" in line for line in process.lines)
