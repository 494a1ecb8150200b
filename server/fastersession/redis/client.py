"""Clients of redis-py for each kind of URL, behind one face. They retry nothing, since RedisLink does."""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from redis.asyncio import ConnectionPool, Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelManagedConnection
from redis.backoff import NoBackoff

from fastersession.redis.errors import REDIS_ERRORS
from fastersession.redis.quick import QuickPool, QuickRedis
from fastersession.redis.sentinel import MasterPool, Sentinels
from fastersession.redis.tls import TlsConnection, TlsSentinelManagedConnection, Trust, trust_in
from fastersession.redis.url import RedisUrl

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds for one answer and for one connection."""

    answer: float
    connect: float


class RedisClient(Protocol):
    """A client, and what RedisLink needs of it besides commands."""

    @property
    def redis(self) -> "Redis":
        """Takes commands: a Redis, or a RedisCluster, which takes the same ones."""
        ...

    async def forget(self) -> None:
        """Close idle connections: they lead to a server that is not the right one any more."""
        ...

    async def aclose(self) -> None:
        """Close every connection. Raises nothing."""
        ...


class PoolClient:
    """One server: the one of the URL, or the one that the sentinels name."""

    def __init__(
        self, pool: ConnectionPool, answer_timeout: float, sentinels: Sentinels | None = None
    ) -> None:
        self._redis: Redis = QuickRedis(pool, answer_timeout)
        self._pool = pool
        self._sentinels = sentinels

    @property
    def redis(self) -> Redis:
        """See RedisClient."""
        return self._redis

    async def forget(self) -> None:
        """See RedisClient."""
        await self._pool.disconnect(inuse_connections=False)

    async def aclose(self) -> None:
        """See RedisClient."""
        await _closed(self._pool.aclose())
        if self._sentinels is not None:
            await _closed(self._sentinels.aclose())


class ClusterClient:
    """The nodes of a cluster. It learns of a failover by itself, from its answers."""

    def __init__(self, cluster: RedisCluster) -> None:
        self._cluster = cluster

    @property
    def redis(self) -> Redis:
        """See RedisClient."""
        return cast("Redis", self._cluster)

    async def forget(self) -> None:
        """See RedisClient. A cluster's client asks again who serves what."""
        await self._cluster.aclose()

    async def aclose(self) -> None:
        """See RedisClient."""
        await _closed(self._cluster.aclose())
        # After a failure the client believes that it is closed already.
        await _closed(self._cluster.nodes_manager.aclose())
        await _closed(self._cluster.nodes_manager.aclose("startup_nodes"))


async def _closed(closing: Awaitable[None]) -> None:
    """Wait for the end of connections. Whoever is silent, and ends none in order, holds nobody up."""
    try:
        await closing
    except REDIS_ERRORS as error:
        logger.info("a connection to Redis was not closed in order: %s", error)


def open_client(
    url: RedisUrl, *, ca_file: str | Path | None, max_connections: int, timeouts: Timeouts
) -> RedisClient:
    """Connects to nothing yet. Raises ValueError for TLS files that cannot be used."""
    if ca_file is not None and not url.tls:
        raise ValueError("ca_file is for rediss:// URLs: this one does not encrypt")
    trust = trust_in(ca_file, url.options) if url.tls else None
    options = _options(url, timeouts)
    match url.kind:
        case "cluster":
            return _cluster(url, options, trust, max_connections)
        case "sentinel":
            return _behind_sentinels(url, options, trust, max_connections)
        case "socket":
            own: dict[str, Any] = {"connection_class": UnixDomainSocketConnection, "path": url.path}
        case _:
            own = _over_tcp(trust) | {"host": url.hosts[0][0], "port": url.hosts[0][1]}
    pool = QuickPool(max_connections=max_connections, db=url.db, **options, **own)
    return PoolClient(pool, timeouts.answer)


def _options(url: RedisUrl, timeouts: Timeouts) -> dict[str, Any]:
    return {
        "username": url.username,
        "password": url.password,
        "client_name": url.options.get("client_name"),
        **_manners(timeouts),
    }


def _manners(timeouts: Timeouts) -> dict[str, Any]:
    return {
        "socket_timeout": timeouts.answer,
        "socket_connect_timeout": timeouts.connect,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
    }


def _over_tcp(trust: Trust | None) -> dict[str, Any]:
    if trust is None:
        return {"connection_class": Connection}
    return {"connection_class": TlsConnection, "trust": trust}


def _behind_sentinels(
    url: RedisUrl, options: dict[str, Any], trust: Trust | None, max_connections: int
) -> PoolClient:
    timeouts = Timeouts(options["socket_timeout"], options["socket_connect_timeout"])
    asked = _manners(timeouts) | _over_tcp(trust)
    asked["username"] = url.options.get("sentinel_username")
    asked["password"] = url.options.get("sentinel_password")
    sentinels = Sentinels(url.hosts, asked)
    kind = SentinelManagedConnection if trust is None else TlsSentinelManagedConnection
    with_trust = {} if trust is None else {"trust": trust}
    pool = MasterPool(
        url.service,
        sentinels,
        connection_class=kind,
        max_connections=max_connections,
        db=url.db,
        **options,
        **with_trust,
    )
    return PoolClient(pool, timeouts.answer, sentinels)


def _cluster(
    url: RedisUrl, options: dict[str, Any], trust: Trust | None, max_connections: int
) -> ClusterClient:
    cluster = RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in url.hosts],
        max_connections=2 * max_connections,  # of each node; those being closed count, and it never waits
        **options,
    )
    if trust is not None:
        # It has no argument for a connection of one's own; nodes that it finds later take over this dict.
        own = _over_tcp(trust)
        cluster.connection_kwargs.update(own)
        for node in cluster.nodes_manager.startup_nodes.values():
            node.connection_class = own["connection_class"]
            node.connection_kwargs["trust"] = trust
    return ClusterClient(cluster)
