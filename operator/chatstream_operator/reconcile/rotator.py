"""Rotates the keys in a Secret: asks the pods what they have read, and writes one step at a time.

A step writes keys and state in one request, to that very version of the Secret. Whoever was faster, and
whenever an operator was killed: what is there is where it goes on.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from chatstream_operator.errors import NotFound, Refused
from chatstream_operator.kube import ChildCache, Kube, Object
from chatstream_operator.kube.kinds import POD, SECRET
from chatstream_operator.manifests import names
from chatstream_operator.reconcile.events import News
from chatstream_operator.reconcile.probes import Prober, can_answer
from chatstream_operator.reconcile.secrets import new_secret
from chatstream_operator.rotation import (
    DWELL,
    MOST_KEYS,
    InvalidKeys,
    Keys,
    Report,
    State,
    Step,
    advance,
    find_full_rings,
    find_holdouts,
    needs_reports,
    read_ring,
    write_ring,
)
from chatstream_operator.spec import ChatStream
from chatstream_operator.status import PodView, read_pod
from chatstream_operator.status.pods import ENDED

log = structlog.get_logger(__name__)
AT_ONCE = 32
"""Pods that are asked at the same time; all of them are asked."""
AGAIN_SECONDS = 4.0
"""While pods have not read what they should, they are asked again after this time."""
PATIENCE = 600.0
"""Seconds after which that is left to the resync: a pod that says nothing for so long is broken."""
NAMED = 5
"""Pods that a message names; the others it counts."""


@dataclass(frozen=True, slots=True)
class Progress:
    """secret: as it is now. waits: for what, empty where no rotation is on. problem: why servers cannot take
    the keys. again: seconds after which to look again, None: at the resync. news: of the step."""

    secret: Object
    waits: str = ""
    problem: str = ""
    again: float | None = None
    news: News | None = None


class KeyRotator:
    """Rotates what SecretKeeper has made."""

    def __init__(self, kube: Kube, cache: ChildCache, prober: Prober, now: Callable[[], datetime]) -> None:
        self._kube = kube
        self._cache = cache
        self._prober = prober
        self._now = now

    async def advance(self, chatstream: ChatStream, secret: Object) -> Progress:
        """Takes the next step, if there is one to take. Raises KubeError where it has to be tried again."""
        try:
            keys = read_keys(chatstream, secret)
        except InvalidKeys as error:
            return Progress(secret, problem=str(error))
        now = self._now()
        reports = await self._ask(chatstream, now) if needs_reports(keys.state, now) else None
        request = chatstream.rotation_request
        step = advance(keys, request=request, now=now, reports=reports, new_key=new_secret)
        if step is None and (full := find_full_rings(keys, request)):
            return Progress(secret, waits=_no_room(full, request))
        if step is None:
            return _waiting(secret, keys.state, reports, now)
        return await self._write(chatstream, secret, keys, step)

    async def _write(self, chatstream: ChatStream, secret: Object, before: Keys, step: Step) -> Progress:
        name = secret["metadata"]["name"]
        state = step.keys.state
        told = {"phase": state.phase, "fresh": dict(state.fresh), "namespace": chatstream.namespace}
        try:
            operations = build_operations(secret, before, step.keys)
            live = await self._kube.patch(SECRET, chatstream.namespace, name, operations)
        except (NotFound, Refused) as error:
            # The cache was behind, and the event that says so brings us here again. Or it is refused for
            # good, where a hand made the Secret immutable: then each resync tries again, and nothing sooner.
            log.info("rotation_refused", name=name, error=str(error), **told)
            return Progress(secret, waits=f"the rotation of the keys is tried again: {error}")
        log.info("rotation_step", name=name, **told)
        self._cache.update(SECRET, live)
        news = News("Normal", step.reason, step.note) if step.reason else None
        progress = _waiting(live, state, None, self._now())
        return Progress(live, waits=progress.waits, again=progress.again, news=news)

    async def _ask(self, chatstream: ChatStream, now: datetime) -> list[Report]:
        """What every pod says that may serve. From the API server: the cache may not know the newest."""
        selector = f"{names.OWNER_NAME}={chatstream.name}"
        listing = await self._kube.list(POD, selector=selector)
        pods = [read_pod(raw) for raw in listing.items if _may_serve(raw, chatstream, now)]
        gate = asyncio.Semaphore(AT_ONCE)
        return list(await asyncio.gather(*(self._report(pod, gate) for pod in pods)))

    async def _report(self, pod: PodView, gate: asyncio.Semaphore) -> Report:
        if not can_answer(pod):
            return Report(pod.name, None, "its server does not run yet")
        async with gate:
            probe = await self._prober.probe(pod)
        if not probe.answered:
            return Report(pod.name, None, "does not answer")
        said = {names.SESSION_KEYS: probe.session_keys, names.ENCRYPTION_KEYS: probe.encryption_keys}
        return Report(pod.name, said)


def read_keys(chatstream: ChatStream, secret: Object) -> Keys:
    """Raises InvalidKeys, which names the Secret and the remedy."""
    meta, data = secret["metadata"], secret.get("data") or {}
    rings = {}
    for name in names.ring_names(chatstream):
        try:
            rings[name] = read_ring(base64.b64decode(data.get(name, "")).decode())
        except ValueError as error:
            what = str(error) if isinstance(error, InvalidKeys) else "is no text"
            raise InvalidKeys(
                f"{name} of the Secret {meta['name']} {what}: write a JSON list of keys of at least 16 bytes "
                "each, or take it out to have a new one made, which ends all sessions"
            ) from None
    return Keys(rings, State.read((meta.get("annotations") or {}).get(names.KEY_ROTATION)))


def build_operations(secret: Object, before: Keys, after: Keys) -> list[dict[str, Any]]:
    """A JSON patch of that very version of the Secret."""
    meta = secret["metadata"]
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": meta["resourceVersion"]}
    rings = [
        {"op": "add", "path": f"/data/{name}", "value": base64.b64encode(write_ring(ring).encode()).decode()}
        for name, ring in after.rings.items()
        if ring != before.rings[name]
    ]
    annotations = {**(meta.get("annotations") or {}), names.KEY_ROTATION: after.state.write()}
    return [test, *rings, {"op": "add", "path": "/metadata/annotations", "value": annotations}]


def _waiting(secret: Object, state: State, reports: Sequence[Report] | None, now: datetime) -> Progress:
    if state.phase == "settled" or state.since is None:
        return Progress(secret)
    what = "handed out" if state.phase == "adding" else "put to use"
    age = (now - state.since).total_seconds()
    if reports is None:
        pause = max(0.5, DWELL.total_seconds() - age)
        return Progress(secret, waits=f"a new key is being {what} ({state.handled})", again=pause)
    holdouts = find_holdouts(state, reports)
    listed = ", ".join(holdouts[:NAMED])
    more = f" and {len(holdouts) - NAMED} more" if len(holdouts) > NAMED else ""
    waits = f"a new key is being {what} ({state.handled}), which waits for pod {listed}{more}"
    return Progress(secret, waits=waits, again=AGAIN_SECONDS if age < PATIENCE else None)


def _no_room(rings: Sequence[str], request: str) -> str:
    return (
        f"a new key is asked for ({request}), but {' and '.join(rings)} holds {MOST_KEYS} or more: "
        "wait until one is retired, or take out what no session needs"
    )


def _may_serve(raw: Object, chatstream: ChatStream, now: datetime) -> bool:
    """A server's pod that has read the Secret or may have: on a node, not ended, nor past the time to end."""
    meta = raw["metadata"]
    labels = meta.get("labels") or {}
    if (meta["namespace"], labels.get("app.kubernetes.io/component")) != (chatstream.namespace, "server"):
        return False
    if not raw["spec"].get("nodeName") or (raw.get("status") or {}).get("phase") in ENDED:
        return False
    end = meta.get("deletionTimestamp")
    return end is None or datetime.fromisoformat(end) > now
