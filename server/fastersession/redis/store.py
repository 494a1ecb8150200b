"""Sessions in Redis: any pod serves any turn, and a lease holds across all of them."""

import math
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastersession.errors import LeaseHeld, VersionConflict
from fastersession.records import Change, Lease, StoredSession, Tail, Window
from fastersession.redis import scripts
from fastersession.redis.answers import Args, asked, checked, stored_session, tail, written
from fastersession.redis.client import Timeouts, open_client
from fastersession.redis.clock import RedisClock
from fastersession.redis.link import RedisLink
from fastersession.redis.url import parse_redis_url

_WINDOW = Window()


class RedisStore:
    """A SessionStore in Redis. Make it with `from_url`; each method is one round trip.

    Keys are `<prefix>{<id>}` for the record and `<prefix>{<id>}:lease` for the lease, both end by themselves.
    Every method ends within `io_timeout` seconds, StoreUnavailable names the cause.
    """

    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link = link
        self._prefix = prefix
        self._clock = RedisClock()
        script = link.script
        self._load, self._save = script(scripts.LOAD), script(scripts.SAVE)
        self._touch, self._delete = script(scripts.TOUCH), script(scripts.DELETE)
        self._release, self._read = script(scripts.RELEASE), script(scripts.READ)
        self._snapshot, self._plant = script(scripts.SNAPSHOT), script(scripts.PLANT)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = "chatstream:session:",
        password: str | None = None,
        ca_file: str | Path | None = None,
        max_connections: int = 50,
        socket_timeout: float = 1.0,
        connect_timeout: float = 1.0,
        io_timeout: float = 1.8,
        retries: int = 2,
    ) -> "RedisStore":
        """Connects at first use. Times in seconds.

        `url` is redis://, rediss://, unix://, redis+sentinel://, redis+cluster:// or a rediss+ form of these.
        `password` is for a URL that holds none; `ca_file` (PEM) names who signs the server's certificate
        instead of the system's authorities. `socket_timeout` bounds one answer, `io_timeout` a whole method:
        the wait for a free connection and the `retries` too. It is below the middleware's so that the error
        names the cause. Raises ValueError, without the URL in it, for any other URL.
        """
        parsed = parse_redis_url(url)
        if parsed.password is None:
            parsed = replace(parsed, password=password)
        timeouts = Timeouts(answer=socket_timeout, connect=connect_timeout)
        client = open_client(parsed, ca_file=ca_file, max_connections=max_connections, timeouts=timeouts)
        link = RedisLink(
            client,
            where=parsed.where,
            io_timeout=io_timeout,
            retries=retries,
            max_connections=max_connections,
        )
        return cls(link, prefix)

    @property
    def circuit_open(self) -> bool:
        """Whether Redis did not answer lately: methods fail at once then, but for a trial now and then."""
        return self._link.circuit_open

    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = _WINDOW
    ) -> StoredSession | None:
        """See SessionStore.load."""
        args: Args = ["", 0] if lease is None else [lease.owner, _milliseconds(lease.seconds)]
        latest = time.monotonic() + self._link.io_timeout
        keys = self._keys(session_id)
        answer = checked(await self._link.call(lambda _: self._timely(keys, args, latest, window)))
        if answer[0] == b"held":
            raise LeaseHeld(answer[1] / 1000)
        return None if answer[0] == b"none" else stored_session(answer[1:])

    async def save(
        self, session_id: str, /, change: Change, *, ttl: float, release: str | None = None
    ) -> int:
        """See SessionStore.save."""
        args = written(change, ttl=_milliseconds(ttl), owner=release or "")
        keys = self._keys(session_id)
        answer = checked(await self._link.call(lambda _: self._save(keys, args)), change.expected_version)
        return int(answer[1])

    async def read(self, session_id: str, journal: str, /, *, start: int, limit: int) -> Tail:
        """See SessionStore.read."""
        keys: list[str] = self._keys(session_id)[:1]
        args = asked(journal, start, limit)
        answer = checked(await self._link.call(lambda _: self._read(keys, args)))
        return tail(*answer[1:])

    async def copy(self, session_id: str, new_id: str, /, *, ttl: float) -> int | None:
        """See SessionStore.copy. Two round trips: in a cluster the two lie on different nodes."""
        found = checked(await self._link.call(lambda _: self._snapshot(self._keys(session_id)[:1])))
        if found[0] == b"none":
            return None
        version, fields = int(found[1]), found[2]
        args: Args = [f" {_new_mark()} ", _milliseconds(ttl), *fields]
        planted = await self._link.call(lambda _: self._plant(self._keys(new_id)[:1], args))
        if planted[0] == b"taken":
            raise VersionConflict("there is a session under the new id")
        return version

    async def touch(self, session_id: str, /, *, ttl: float, accessed_at: float) -> None:
        """See SessionStore.touch."""
        args: Args = [repr(accessed_at), _milliseconds(ttl)]
        checked(await self._link.call(lambda _: self._touch(self._keys(session_id), args)))

    async def delete(self, session_id: str, /, *, expected_version: int | None = None) -> None:
        """See SessionStore.delete. Without a version it removes what is no session of ours too."""
        keys, expected = self._keys(session_id)[:1], "" if expected_version is None else str(expected_version)
        answer = await self._link.call(lambda again: self._delete(keys, [expected, "again" if again else ""]))
        checked(answer, expected_version)

    async def release(self, session_id: str, owner: str, /) -> None:
        """See SessionStore.release."""
        await self._link.call(lambda _: self._release(self._keys(session_id)[1:], [owner]))

    async def ping(self) -> None:
        """See SessionStore.ping. It writes: a full or a read-only Redis answers a PING too."""
        await self._link.call(lambda _: self._link.client.set(f"{self._prefix}probe", 1, px=1000))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._link.aclose()

    async def _timely(
        self, keys: list[str], lease: Args, latest: float, window: Window = _WINDOW
    ) -> list[Any]:
        """LOAD's answer, without the time. Nobody waits after `latest` (monotonic seconds)."""
        for _ in range(2):
            limit = self._clock.after(latest - _MARGIN - time.monotonic())
            answer: list[Any] = await self._load(keys, [*lease, window.entries, window.bytes, limit])
            self._clock.learn(answer.pop(1))
            if answer[0] != b"late":
                return answer
            # Somebody does wait: Redis' clock was set, or it is another Redis. Its time is known now.
        raise TimeoutError

    def _keys(self, session_id: str) -> list[str]:
        # The braces keep both keys of a session on one node of a cluster.
        record = f"{self._prefix}{{{session_id}}}"
        return [record, f"{record}:lease"]


_MARGIN = 0.05
"""Seconds before a caller gives up from which on no lease is taken: the answer might come too late."""


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))


def _new_mark() -> str:
    return secrets.token_urlsafe(6)
