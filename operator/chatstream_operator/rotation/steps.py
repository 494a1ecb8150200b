"""The steps of a rotation: from the keys, a request, the time and what the pods report to the next keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chatstream_operator.rotation.keys import Ring, fingerprint
from chatstream_operator.rotation.state import Keys, State

ABSOLUTE_TIMEOUT = 2_592_000.0
"""Seconds that a session lives at most: the servers are told, and so long an idle key is accepted."""
DWELL = timedelta(seconds=10)
"""A phase lasts so long at least: a pod that starts may be given what the API server's caches held before."""

MOST_KEYS = 32
"""In a ring: a forged cookie is held against each of them. Whoever asks for more, as every hour, waits."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a pod says. fingerprints: by ring, in the ring's order; None where it says nothing, and why."""

    pod: str
    fingerprints: Mapping[str, Sequence[str]] | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """keys: what has to be written next. reason and note: of the event that tells of it; none where empty."""

    keys: Keys
    reason: str = ""
    note: str = ""


def advance(
    keys: Keys, *, request: str, now: datetime, reports: Sequence[Report] | None, new_key: Callable[[], str]
) -> Step | None:
    """The next step, None where there is none to take now.

    request: empty where none is asked for. reports: of every pod that may serve; None where nobody was asked.
    """
    seen = Keys(keys.rings, _without_what_a_hand_changed(keys))
    if seen != keys:
        return Step(seen)
    if keys.state.phase == "settled":
        begins = _is_asked(keys.state, request) and not find_full_rings(keys, request)
        return _begin(keys, request, now, new_key) if begins else _retire(keys, now)
    if reports is None or not needs_reports(keys.state, now) or find_holdouts(keys.state, reports):
        return None
    return _promote(keys, now) if keys.state.phase == "adding" else _settle(keys, now)


def needs_reports(state: State, now: datetime) -> bool:
    """Whether it is for the pods to say that the next step may be taken.

    A phase that begins in the future is one of a clock that went wrong: what it said may be far away.
    """
    return state.phase != "settled" and (state.since is None or abs(now - state.since) >= DWELL)


def find_full_rings(keys: Keys, request: str) -> list[str]:
    """The rings in which a key that is asked for has no place, until one is retired or taken out by hand."""
    if keys.state.phase != "settled" or not _is_asked(keys.state, request):
        return []
    return [name for name, ring in keys.rings.items() if len(ring) >= MOST_KEYS]


def find_holdouts(state: State, reports: Sequence[Report]) -> list[str]:
    """The pods that the rotation waits for, each with what it lacks."""
    found = ((report.pod, _lacks(state, report)) for report in reports)
    return [f"{pod} ({lacks})" for pod, lacks in found if lacks]


def _is_asked(state: State, request: str) -> bool:
    return request not in ("", state.handled)


def _lacks(state: State, report: Report) -> str:
    if report.fingerprints is None:
        return report.why
    listed = {ring: list(report.fingerprints.get(ring, ())) for ring in state.fresh}
    if not all(fresh in listed[ring] for ring, fresh in state.fresh.items()):
        return "has not read the new key yet"
    if state.phase == "switching" and not all(listed[ring][0] == state.fresh[ring] for ring in listed):
        return "does not use the new key yet"
    return ""


def _without_what_a_hand_changed(keys: Keys) -> State:
    """A key that was taken out is waited for no longer, nor one that was put back behind another; one that
    was put in front is not idle."""
    state = keys.state
    prints = {name: [fingerprint(key) for key in ring] for name, ring in keys.rings.items()}
    within = 1 if state.phase == "switching" else None
    fresh = {name: key for name, key in state.fresh.items() if key in prints.get(name, [])[:within]}
    idle = {
        name: {key: since for key, since in known.items() if _is_behind(key, prints.get(name, []))}
        for name, known in state.idle.items()
    }
    return state.model_copy(
        update={
            "fresh": fresh,
            "idle": {name: known for name, known in idle.items() if known},
            **({} if fresh else {"phase": "settled"}),
        }
    )


def _is_behind(key: str, prints: Sequence[str]) -> bool:
    """By hand, the first one may be in the list twice."""
    return key in prints and key != prints[0]


def _begin(keys: Keys, request: str, now: datetime, new_key: Callable[[], str]) -> Step:
    fresh = {name: new_key() for name in keys.rings}
    rings = {name: (*ring, fresh[name]) for name, ring in keys.rings.items()}
    state = keys.state.model_copy(
        update={
            "handled": request,
            "phase": "adding",
            "since": _stamp(now),
            "fresh": {name: fingerprint(key) for name, key in fresh.items()},
        }
    )
    note = f"{_listed(state.fresh)}: handed out to the pods, to be used once all of them have it"
    return Step(Keys(rings, state), "KeyRotationStarted", note)


def _promote(keys: Keys, now: datetime) -> Step:
    rings = {name: _first(ring, keys.state.fresh.get(name, "")) for name, ring in keys.rings.items()}
    return Step(Keys(rings, keys.state.model_copy(update={"phase": "switching", "since": _stamp(now)})))


def _settle(keys: Keys, now: datetime) -> Step:
    stamp = _stamp(now)
    idle = dict(keys.state.idle)
    for name in keys.state.fresh:
        known = keys.state.idle.get(name, {})
        prints = [fingerprint(key) for key in keys.rings[name]]
        idle[name] = {key: known.get(key, stamp) for key in prints if _is_behind(key, prints)}
    state = keys.state.model_copy(update={"phase": "settled", "since": stamp, "fresh": {}, "idle": idle})
    end = (stamp + timedelta(seconds=ABSOLUTE_TIMEOUT)).strftime("%Y-%m-%dT%H:%M:%SZ")
    note = f"{_listed(keys.state.fresh)}: used by every pod; the former ones are accepted until {end}"
    return Step(Keys(keys.rings, state), "KeysRotated", note)


def _retire(keys: Keys, now: datetime) -> Step | None:
    limit = timedelta(seconds=ABSOLUTE_TIMEOUT)
    gone = {
        name: {key for key, since in known.items() if now - since >= limit}
        for name, known in keys.state.idle.items()
    }
    if not any(gone.values()):
        return None
    rings = {
        name: tuple(key for key in ring if fingerprint(key) not in gone.get(name, ()))
        for name, ring in keys.rings.items()
    }
    after = Keys(rings, keys.state)
    what = ", ".join(f"{name} {key}" for name in sorted(gone) for key in sorted(gone[name]))
    note = f"{what}: accepted no longer, as nothing that they signed can still be valid"
    return Step(Keys(rings, _without_what_a_hand_changed(after)), "KeysRetired", note)


def _first(ring: Ring, fresh: str) -> Ring:
    return tuple(sorted(ring, key=lambda key: fingerprint(key) != fresh))


def _listed(fresh: Mapping[str, str]) -> str:
    return "new " + ", ".join(f"{name} {key}" for name, key in sorted(fresh.items()))


def _stamp(now: datetime) -> datetime:
    """The next whole second: what is written must not say that something was earlier than it was."""
    return now.replace(microsecond=0) + timedelta(seconds=1 if now.microsecond else 0)
