"""The queue: each key at most once, one run at a time, back-off; on a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatstream_operator.reconcile.queue import LONGEST_DELAY, SHORTEST_PAUSE, KeyQueue


def queue(jitter: float = 1.0) -> KeyQueue[str]:
    return KeyQueue(lambda: jitter)


def test_a_key_is_run_once_however_often_it_is_added() -> None:
    one = queue()
    for _ in range(3):
        one.add("a", 0.0)
    assert (one.pop(0.0), one.pop(0.0), len(one)) == ("a", None, 0)


def test_first_come_is_first_served() -> None:
    one = queue()
    for key in ("b", "a", "c"):
        one.add(key, 0.0)
    assert [one.pop(0.0) for _ in range(3)] == ["b", "a", "c"]


def test_a_key_waits_for_its_time() -> None:
    one = queue()
    one.add("a", 5.0)
    assert (one.pop(4.9), one.next_due(), one.pop(5.0)) == (None, 5.0, "a")


def test_the_earlier_of_two_times_counts() -> None:
    one = queue()
    one.add("a", 5.0)
    one.add("a", 1.0)
    one.add("a", 9.0)
    assert (one.next_due(), one.pop(1.0), one.pop(99.0)) == (1.0, "a", None)


def test_a_key_that_is_added_while_it_runs_runs_again_afterwards() -> None:
    one = queue()
    one.add("a", 0.0)
    assert one.pop(0.0) == "a"
    one.add("a", 0.0)
    assert (one.pop(1.0), one.next_due()) == (None, None)
    one.done("a", 1.0, failed=False)
    assert one.pop(1.0) == "a"


def test_an_old_time_of_a_key_that_runs_does_not_run_it_twice() -> None:
    one = queue()
    one.add("a", 5.0)
    one.add("a", 1.0)
    assert one.pop(1.0) == "a"
    one.add("a", 5.0)
    assert (one.pop(6.0), one.next_due()) == (None, None)
    one.done("a", 6.0, failed=False)
    assert one.pop(6.0) == "a"


def test_one_that_runs_holds_up_no_other() -> None:
    one = queue()
    one.add("a", 0.0)
    one.add("b", 0.0)
    assert one.pop(0.0) == "a"
    one.add("a", 0.0)
    assert one.pop(0.0) == "b"


def fail(one: KeyQueue[str], now: float) -> float:
    """Runs and fails once; gives the delay until the next run."""
    assert one.pop(now) == "a"
    one.done("a", now, failed=True)
    due = one.next_due()
    assert due is not None
    return due - now


def test_failures_back_off_to_a_limit_and_success_forgets_them() -> None:
    one, now, delays = queue(), 0.0, []
    one.add("a", now)
    for _ in range(10):
        delays.append(fail(one, now))
        now += delays[-1]
    assert delays[:4] == [0.5, 1.0, 2.0, 4.0]
    assert delays[-1] == LONGEST_DELAY
    assert one.pop(now) == "a"
    one.done("a", now, failed=False)
    one.add("a", now)
    assert fail(one, now) == 0.5


def test_jitter_takes_up_to_half() -> None:
    assert (queue(0.0).delay(3), queue(1.0).delay(3)) == (1.0, 2.0)


def test_what_the_server_asks_for_is_the_least() -> None:
    one = queue()
    one.add("a", 0.0)
    one.pop(0.0)
    one.done("a", 0.0, failed=True, retry_after=7.0)
    assert one.next_due() == 7.0


def test_a_change_during_back_off_is_seen_soon() -> None:
    one = queue()
    one.add("a", 0.0)
    for now in (0.0, 1.0, 3.0):
        fail(one, now)
        one.add("a", now)
        assert one.next_due() == now + 0.25
        one.add("a", now + 0.9)
        assert one.next_due() == now + 0.25
        one.pop(now + 0.9)
        one.add("a", now + 0.9)
        one.done("a", now + 0.9, failed=False)


def test_one_that_reports_its_failure_is_not_run_in_a_circle() -> None:
    """The status that a failed run has written is a change of the resource, and asks for the next run."""
    one, now, runs = queue(), 0.0, 0
    one.add("a", now)
    while now < 60.0:
        if one.pop(now):
            runs += 1
            one.add("a", now)
            one.done("a", now, failed=True)
        now += 0.01
    assert runs <= 60 / 0.25 + 1


@pytest.mark.parametrize(("asked", "kept"), [(7.0, 7.0), (86400.0, LONGEST_DELAY)])
def test_a_change_does_not_shorten_what_the_server_asks_for(asked: float, kept: float) -> None:
    one = queue()
    one.add("a", 0.0)
    one.pop(0.0)
    one.add("a", 0.0)
    one.done("a", 0.0, failed=True, retry_after=asked)
    one.add("a", 0.1)
    assert one.next_due() == kept


@pytest.mark.parametrize("failures", [1, 5, 1000])
def test_a_delay_is_never_over_the_limit(failures: int) -> None:
    assert 0.0 < queue(0.999).delay(failures) <= LONGEST_DELAY


KEYS = st.sampled_from("abcd")


class QueueMachine(RuleBasedStateMachine):
    """Any order of calls: no key runs twice at once, and none that was asked for is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = queue(0.5)
        self.now = 0.0
        self.running: set[str] = set()
        self.owed: dict[str, float] = {}
        self.not_before: dict[str, float] = {}

    @rule(key=KEYS, delay=st.sampled_from([0.0, 0.0, 1.0, 30.0]))
    def add(self, key: str, delay: float) -> None:
        self.queue.add(key, self.now + delay)
        at = max(self.now + delay, self.not_before.get(key, 0.0))
        self.owed[key] = min(self.owed.get(key, at), at)

    @rule(seconds=st.sampled_from([0.1, 1.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def pop(self) -> None:
        due = {key: at for key, at in self.owed.items() if at <= self.now and key not in self.running}
        key = self.queue.pop(self.now)
        assert (key is None) == (not due)
        if key is not None:
            assert due[key] == min(due.values())
            del self.owed[key]
            self.running.add(key)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), failed=st.booleans())
    def done(self, data: st.DataObject, failed: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.running.remove(key)
        self.queue.done(key, self.now, failed=failed)
        self.not_before.pop(key, None)
        if failed:
            self.not_before[key] = self.now + SHORTEST_PAUSE
            if key in self.owed:
                self.owed[key] = max(self.owed[key], self.not_before[key])
            # Not later than the longest back-off; the exact time is the queue's own business.
            assert len(self.queue) >= 1
            self.owed[key] = min(self.owed.get(key, float("inf")), self.due_of(key))

    def due_of(self, key: str) -> float:
        at = self.queue._due[key]
        assert at <= self.now + LONGEST_DELAY
        return at

    @invariant()
    def nothing_is_forgotten(self) -> None:
        assert len(self.queue) == len(self.owed)
        free = [at for key, at in self.owed.items() if key not in self.running]
        assert self.queue.next_due() == min(free, default=None)


TestAnyOrder = QueueMachine.TestCase
