"""What the servers say of themselves at /status: the only way to know whether they reach Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from chatstream_operator.manifests.names import METRICS_PORT
from chatstream_operator.spec import Key
from chatstream_operator.status import PodView, Probe

PROBE_SECONDS = 3.0
"""Longer than a server waits for a Redis that hangs, before it says so."""
AGAIN_SECONDS = 4.0
"""While something is wrong, ask again after this time, not only at the next resync."""
AT_MOST = 8
"""Pods that are asked in one round."""


class Prober(Protocol):
    async def probe(self, pod: PodView) -> Probe:
        """Ends within PROBE_SECONDS, and raises nothing: silence is an answer."""


class HttpProber:
    """Asks the pod's own address. Close it once, with aclose()."""

    def __init__(self, port: int = METRICS_PORT) -> None:
        self._port = port
        timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False)

    async def aclose(self) -> None:
        await self._session.close()

    async def probe(self, pod: PodView) -> Probe:
        host = f"[{pod.ip}]" if ":" in pod.ip else pod.ip
        try:
            async with self._session.get(f"http://{host}:{self._port}/status") as response:
                response.raise_for_status()
                return read_probe(pod.name, await response.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, TypeError, KeyError) as error:
            return Probe(pod=pod.name, answered=False, store_reachable=False, error=repr(error), plain_http=0)


def read_probe(pod: str, status: Any) -> Probe:  # noqa: ANN401 -- whatever the server sent
    """Raises TypeError, KeyError or ValueError where it is not what servers send."""
    sessions = status["sessions"]
    return Probe(
        pod=pod,
        answered=True,
        store_reachable=bool(sessions["reachable"]),
        error=str(sessions.get("error") or ""),
        plain_http=int(status.get("plain_http_with_secure_cookie") or 0),
        session_keys=_texts(sessions.get("keys")),
        encryption_keys=_texts(sessions.get("encryption_keys")),
    )


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401 -- whatever the server sent
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True)
class _Round:
    """redis_ready: as the cluster saw it then. bad_since: when the first of the bad rounds in a row was."""

    at: float
    pods: frozenset[str]
    redis_ready: bool
    probes: tuple[Probe, ...]
    bad_since: float

    @property
    def bad(self) -> bool:
        return any(probe.answered and not probe.store_reachable for probe in self.probes)


class ProbeBook:
    """Remembers what the pods said, and asks again when it is time: at a resync, when pods or Redis came or
    went, and soon again while something is wrong."""

    def __init__(self, prober: Prober, *, every: float, clock: Callable[[], float]) -> None:
        self._prober = prober
        self._every = every
        self._clock = clock
        self._rounds: dict[Key, _Round] = {}

    async def ask(self, key: Key, pods: Iterable[PodView], *, redis_ready: bool) -> tuple[Probe, ...]:
        asked = sorted(
            (pod for pod in pods if can_answer(pod) and not pod.deleting), key=lambda pod: pod.name
        )[:AT_MOST]
        last = self._rounds.get(key)
        uids = frozenset(pod.uid for pod in asked)
        if last is None or self._is_stale(last, uids, redis_ready=redis_ready):
            now = self._clock()
            goes_on = last is not None and last.bad and last.redis_ready == redis_ready
            since = last.bad_since if last is not None and goes_on else now
            probes = tuple(await self._gather(asked))
            last = _Round(at=now, pods=uids, redis_ready=redis_ready, probes=probes, bad_since=since)
            self._rounds[key] = last
        return last.probes

    def bad_seconds(self, key: Key) -> float:
        """From the first bad answer to the last one; 0 where the last was good."""
        last = self._rounds.get(key)
        return last.at - last.bad_since if last is not None and last.bad else 0.0

    def is_bad(self, key: Key) -> bool:
        last = self._rounds.get(key)
        return last is not None and last.bad

    def forget(self, key: Key) -> None:
        self._rounds.pop(key, None)

    def _is_stale(self, last: _Round, pods: frozenset[str], *, redis_ready: bool) -> bool:
        changed = (last.pods, last.redis_ready) != (pods, redis_ready)
        return changed or self._clock() >= last.at + self._pause(last)

    def _pause(self, last: _Round) -> float:
        return min(AGAIN_SECONDS, self._every) if last.bad else self._every * 0.9

    async def _gather(self, pods: Sequence[PodView]) -> list[Probe]:
        return list(await asyncio.gather(*(self._prober.probe(pod) for pod in pods)))


def can_answer(pod: PodView) -> bool:
    """Its server runs, and has an address."""
    server = pod.container("server")
    return bool(pod.ip) and server is not None and server.started
