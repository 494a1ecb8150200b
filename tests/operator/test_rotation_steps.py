"""The steps of a rotation one by one, and what hands do to it meanwhile."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from chatstream_operator.rotation import (
    ABSOLUTE_TIMEOUT,
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
    fingerprint,
    needs_reports,
    read_ring,
    write_ring,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + DWELL
OLD, NEW, MINE = ("old-" * 8, "new-" * 8, "mine" * 8)
FRESH = fingerprint(NEW)


def keys(*ring: str, **state: object) -> Keys:
    return Keys({"session-keys": ring}, State.model_validate(state))


def adding(*ring: str) -> Keys:
    return keys(*ring, handled="a", phase="adding", since=NOW, fresh={"session-keys": FRESH})


def switching(*ring: str) -> Keys:
    return keys(*ring, handled="a", phase="switching", since=NOW, fresh={"session-keys": FRESH})


def step(before: Keys, *read: str, request: str = "", now: datetime = LATER) -> Step | None:
    """read: what the one pod has read."""
    report = Report("demo-1", {"session-keys": [fingerprint(key) for key in read]})
    return advance(before, request=request, now=now, reports=[report], new_key=lambda: NEW)


def taken(found: Step | None) -> Step:
    assert found is not None
    return found


def ring(found: Step | None) -> tuple[str, ...]:
    return taken(found).keys.rings["session-keys"]


def test_nothing_is_done_unasked() -> None:
    assert step(keys(OLD)) is None
    assert step(keys(OLD, handled="a"), request="a") is None
    assert not needs_reports(State(), NOW)


def test_a_request_puts_a_fresh_key_behind_the_others() -> None:
    found = taken(step(keys(OLD), request="a", now=NOW))
    assert found.keys == adding(OLD, NEW)
    assert found.reason == "KeyRotationStarted"
    assert found.note.startswith(f"new session-keys {FRESH}: ")


def test_a_phase_lasts_as_long_as_caches_may_be_behind() -> None:
    just = NOW + DWELL - timedelta(milliseconds=1)
    assert step(adding(OLD, NEW), OLD, NEW, now=just) is None
    assert not needs_reports(adding(OLD, NEW).state, just)
    assert needs_reports(adding(OLD, NEW).state, LATER)


def test_a_clock_that_was_put_back_holds_nothing_up() -> None:
    before = NOW - timedelta(days=400)
    assert ring(step(adding(OLD, NEW), OLD, NEW, now=before)) == (NEW, OLD)
    just = NOW - DWELL + timedelta(milliseconds=1)
    assert step(adding(OLD, NEW), OLD, NEW, now=just) is None


def test_the_key_goes_to_the_front_once_every_pod_has_read_it() -> None:
    before = adding(OLD, MINE, NEW)
    assert step(before, OLD, MINE) is None
    found = taken(step(before, OLD, MINE, NEW))
    assert ring(found) == (NEW, OLD, MINE)
    assert (found.keys.state.phase, found.keys.state.since, found.reason) == ("switching", LATER, "")


def test_it_is_settled_once_every_pod_uses_it() -> None:
    before = switching(NEW, OLD)
    assert step(before, OLD, NEW) is None
    found = taken(step(before, NEW, OLD))
    assert (found.reason, ring(found)) == ("KeysRotated", (NEW, OLD))
    assert found.keys.state.idle == {"session-keys": {fingerprint(OLD): LATER}}
    assert "accepted until 2026-01-31T00:00:10Z" in found.note


def test_idle_keys_go_when_nothing_that_they_signed_is_valid() -> None:
    before = keys(NEW, OLD, MINE, idle={"session-keys": {fingerprint(OLD): NOW}})
    end = NOW + timedelta(seconds=ABSOLUTE_TIMEOUT)
    assert step(before, now=end - timedelta(seconds=1)) is None
    found = taken(step(before, now=end))
    assert (found.reason, ring(found), found.keys.state.idle) == ("KeysRetired", (NEW, MINE), {})
    assert found.note.startswith(f"session-keys {fingerprint(OLD)}: accepted no longer")


def test_both_rings_move_together() -> None:
    rings = {"session-keys": (OLD,), "encryption-keys": (MINE,)}
    numbers = iter(range(9))
    found = taken(
        advance(
            Keys(rings, State()), request="a", now=NOW, reports=None, new_key=lambda: f"key {next(numbers)}"
        )
    )
    assert found.keys.rings == {"session-keys": (OLD, "key 0"), "encryption-keys": (MINE, "key 1")}
    half = Report("demo-1", {"session-keys": [fingerprint(OLD), fingerprint("key 0")]})
    assert find_holdouts(found.keys.state, [half]) == ["demo-1 (has not read the new key yet)"]


def test_a_second_request_waits_for_the_first_and_then_begins() -> None:
    assert taken(step(adding(OLD, NEW), OLD, NEW, request="b")).keys.state.phase == "switching"
    settled = taken(step(switching(NEW, OLD), NEW, OLD, request="b")).keys
    assert settled.state.handled == "a"
    found = taken(advance(settled, request="b", now=LATER, reports=None, new_key=lambda: MINE))
    assert (ring(found), found.keys.state.handled) == ((NEW, OLD, MINE), "b")
    assert found.keys.state.idle == settled.state.idle


def test_a_full_ring_takes_no_further_key_until_one_is_retired() -> None:
    ring_of = tuple(f"key number {number:05}" for number in range(MOST_KEYS))
    full = keys(*ring_of, idle={"session-keys": {fingerprint(ring_of[-1]): NOW}})
    assert find_full_rings(full, "b") == ["session-keys"]
    assert find_full_rings(full, "") == []
    assert step(full, request="b") is None
    retired = taken(step(full, request="b", now=NOW + timedelta(seconds=ABSOLUTE_TIMEOUT)))
    assert (retired.reason, find_full_rings(retired.keys, "b")) == ("KeysRetired", [])
    assert len(ring(step(retired.keys, request="b"))) == MOST_KEYS


def test_a_request_that_is_withdrawn_goes_on_to_its_end() -> None:
    assert taken(step(adding(OLD, NEW), OLD, NEW, request="")).keys.state.phase == "switching"


def test_without_pods_it_goes_on_after_the_dwell() -> None:
    found = advance(adding(OLD, NEW), request="", now=LATER, reports=[], new_key=lambda: MINE)
    assert taken(found).keys.state.phase == "switching"


def test_pods_that_say_nothing_are_waited_for_and_named() -> None:
    reports = [Report("demo-1", None, "does not answer"), Report("demo-2", {"session-keys": [FRESH]})]
    assert find_holdouts(adding(OLD, NEW).state, reports) == ["demo-1 (does not answer)"]
    assert advance(adding(OLD, NEW), request="", now=LATER, reports=reports, new_key=lambda: MINE) is None


@pytest.mark.parametrize("before", [adding(OLD, MINE), switching(OLD, NEW), switching(MINE)])
def test_a_hand_that_takes_the_new_key_back_ends_the_rotation(before: Keys) -> None:
    found = taken(step(before, OLD, request="a"))
    assert found.keys.rings == before.rings
    assert (found.keys.state.phase, found.keys.state.fresh, found.reason) == ("settled", {}, "")
    assert step(found.keys, OLD, request="a") is None


def test_a_hand_that_puts_an_idle_key_in_front_has_it_kept() -> None:
    idle = {"session-keys": {fingerprint(OLD): NOW}}
    found = taken(step(keys(OLD, NEW, idle=idle)))
    assert (ring(found), found.keys.state.idle) == ((OLD, NEW), {})


def test_a_key_that_a_hand_has_listed_twice_is_not_lost() -> None:
    settled = taken(step(switching(NEW, OLD, NEW), NEW, OLD, NEW)).keys
    end = LATER + timedelta(seconds=ABSOLUTE_TIMEOUT)
    assert set(ring(step(settled, now=end))) == {NEW}


def test_the_state_is_read_as_it_was_written_and_shows_no_key() -> None:
    for before in (adding(OLD, NEW), switching(NEW, OLD), keys(OLD)):
        text = before.state.write()
        assert State.read(text) == before.state
        assert OLD not in text
        assert NEW not in text
    assert json.loads(adding(OLD, NEW).state.write())["since"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "text", [None, "", "x", "[]", '{"phase": "x"}', '{"since": "soon"}', '{"idle": 1}', "[" * 10_000]
)
def test_a_state_that_a_hand_has_spoilt_is_none(text: str | None) -> None:
    assert State.read(text) == State()


def test_a_time_far_away_is_no_error() -> None:
    for since in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"):
        state = State.read(adding(OLD, NEW).state.write().replace("2026-01-01T00:00:00Z", since))
        step(Keys({"session-keys": (OLD, NEW)}, state), OLD, NEW)
        idle = {"session-keys": {fingerprint(OLD): datetime.fromisoformat(since)}}
        step(keys(NEW, OLD, idle=idle))


def test_what_is_written_says_that_nothing_was_earlier_than_it_was() -> None:
    found = taken(step(keys(OLD), request="a", now=NOW + timedelta(microseconds=1)))
    assert found.keys.state.since == NOW + timedelta(seconds=1)


def test_a_ring_is_read_as_it_was_written() -> None:
    assert read_ring(write_ring((OLD, "ключ" * 8))) == (OLD, "ключ" * 8)
    with pytest.raises(InvalidKeys, match="under 16 bytes") as error:
        read_ring('["hunter2"]')
    assert "hunter2" not in str(error.value)
