"""A real Redis that refuses: 503 with a clear body, a metric with the reason, and on again by itself."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from chatstream.metrics import STORE_ERRORS
from tests.fastersession.redis_server import RedisServer
from tests.server.support.live import Browser, serving, until
from tests.server.support.redis_pods import Pod, pod, redis_sessions


def failures(registry: CollectorRegistry) -> dict[str, float]:
    """How often the session store failed, by reason; those that never happened are left out."""
    name = "chatstream_session_store_errors_total"
    counts = {reason: registry.get_sample_value(name, {"reason": reason}) or 0.0 for reason in STORE_ERRORS}
    return {reason: count for reason, count in counts.items() if count}


def registry_of(one: Pod) -> CollectorRegistry:
    return one.service.chat_stream.metrics.registry


async def refused(browser: Browser) -> None:
    chat = await browser.send("hi")
    assert (chat.status, (await chat.json())["error"]) == (503, "session_store_unavailable")
    assert int(chat.headers["retry-after"]) >= 1


async def test_28q_a_wrong_password_is_denied_and_shown_nowhere(redis: RedisServer) -> None:
    sessions = redis_sessions(redis, redis_password="hunter2-hunter2")
    async with (
        pod(redis, sessions) as one,
        serving(one.service.inner) as inner,
        Browser(inner) as operator,
        Browser(one.base) as browser,
    ):
        await refused(browser)
        assert failures(registry_of(one)) == {"denied": 1}
        told = (await operator.fetch("GET", "/status")).json["sessions"]
        assert told["reachable"] is False
        assert redis.address in told["error"]
        assert "hunter2" not in told["error"]


async def test_28r_a_redis_that_is_full_refuses_turns_and_loses_no_reply(redis: RedisServer) -> None:
    async with pod(redis) as one, Browser(one.base) as browser:
        await browser.turn("[[tokens=1]] heron")
        chat = await browser.send("[[tokens=4]][[delay=50]]")
        await chat.read_until("message")
        await redis.ask("CONFIG", "SET", "maxmemory", 1)
        await chat.whole()
        assert chat.text == "tok1 tok2 tok3 tok4 "
        assert [event.data["code"] for event in chat.events if event.name == "warning"] == [
            "history_not_saved"
        ]
        assert failures(registry_of(one)) == {"full": 1}
        async with Browser(one.base) as newcomer:
            await refused(newcomer)
        assert failures(registry_of(one)) == {"full": 2}
        await redis.ask("CONFIG", "SET", "maxmemory", 0)

        async def remembers() -> bool:
            return "heron" in (await browser.turn("[[echo]]")).text

        await until(remembers, "the next turn")


async def test_28s_while_redis_is_away_the_circuit_is_open_and_it_closes_by_itself(
    redis: RedisServer,
) -> None:
    async with pod(redis) as one, Browser(one.base) as browser:

        def circuit(state: float) -> Callable[[], bool]:
            value = registry_of(one).get_sample_value
            return lambda: value("chatstream_session_store_circuit_open") == state

        await browser.turn("[[tokens=1]]")
        assert circuit(0)()
        redis.kill()
        while not circuit(1)():
            await refused(browser)
        assert set(failures(registry_of(one))) == {"unreachable"}
        redis.start()

        async def works() -> bool:
            return (await browser.turn("[[tokens=1]]")).status == 200

        await until(works, "the circuit's closing")
        assert circuit(0)()
