"""Servers with one real Redis between them, and what that Redis holds and counts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from chatstream.app import Service, build_service
from tests.fastersession.redis_server import RedisServer
from tests.server.support.apps import KEY, demo_settings
from tests.server.support.live import serving
from tests.server.support.seeding import add_seeding


@dataclass(frozen=True)
class Pod:
    service: Service
    base: str


def redis_sessions(redis: RedisServer, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - settings of any kind
    """The settings of sessions in that Redis."""
    return {
        "store": "redis",
        "redis_url": redis.url,
        "redis_password": redis.password,
        "secret_keys": [KEY],
        "cookie": {"secure": False},
        **changes,
    }


@asynccontextmanager
async def pod(
    redis: RedisServer, sessions: dict[str, Any] | None = None, **settings: object
) -> AsyncIterator[Pod]:
    service = build_service(demo_settings(sessions=sessions or redis_sessions(redis), **settings))
    add_seeding(service.public)
    async with serving(service.public) as base:
        yield Pod(service, base)


@asynccontextmanager
async def inside(redis: RedisServer) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis.url, password=redis.password)
    try:
        yield client
    finally:
        await client.aclose()


async def session_keys(client: Redis) -> list[bytes]:
    """All keys but the probe of `/status`, which is no session's."""
    keys: Any = await client.keys("*")  # bytes, for the client was not asked to decode
    return [key for key in keys if not key.endswith(b"probe")]


async def contents(client: Redis) -> bytes:
    """Everything that is stored, as one text."""
    parts: list[Any] = []
    for key in await client.keys("*"):
        parts.append(key)
        if await client.type(key) == b"hash":
            for name, value in (await client.hgetall(key)).items():
                parts += [name, value]
        else:
            parts.append(await client.get(key) or b"")
    return b"\n".join(parts)


@dataclass(frozen=True)
class Traffic:
    """What Redis has counted since its start: bytes that came, bytes that went, scripts that ran."""

    received: int
    sent: int
    scripts: int

    def since(self, before: "Traffic") -> "Traffic":
        return Traffic(
            self.received - before.received, self.sent - before.sent, self.scripts - before.scripts
        )


async def traffic(client: Redis) -> Traffic:
    stats = await client.info("stats")
    commands = await client.info("commandstats")
    scripts = sum(commands.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval"))
    return Traffic(stats["total_net_input_bytes"], stats["total_net_output_bytes"], scripts)
