"""Slots and the queue before them."""

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatstream.admission import LONGEST_ADVICE, Admission, Ticket
from chatstream.errors import Draining, TooManyRequests


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def enter(admission: Admission, times: int) -> list[Ticket]:
    return [admission.enter() for _ in range(times)]


def test_12a_never_more_than_n_run() -> None:
    admission = Admission(2, 5)
    tickets = enter(admission, 7)
    assert [ticket.granted for ticket in tickets] == [True] * 2 + [False] * 5
    assert admission.load().processing == 2


def test_12b_first_come_first_served() -> None:
    admission = Admission(1, 5)
    tickets = enter(admission, 4)
    served = []
    for ticket in tickets:
        served.append([other.granted for other in tickets].count(True))
        ticket.release()
    assert served == [1, 2, 3, 4]
    assert [ticket.granted_at for ticket in tickets] == sorted(ticket.granted_at or 0 for ticket in tickets)


@pytest.mark.parametrize(("limit", "queue"), [(0, 5), (-1, 5), (2, -1)])
def test_12c_senseless_limits_are_a_value_error(limit: int, queue: int) -> None:
    with pytest.raises(ValueError, match=r"must"):
        Admission(limit, queue)


def test_12d_a_queue_of_zero_means_no_waiting() -> None:
    admission = Admission(1, 0)
    admission.enter()
    with pytest.raises(TooManyRequests):
        admission.enter()


def test_13a_n_and_q_are_accepted_and_the_next_is_refused() -> None:
    admission = Admission(2, 5)
    enter(admission, 7)
    with pytest.raises(TooManyRequests) as refused:
        admission.enter()
    assert refused.value.retry_after is not None


def test_13b_the_advice_follows_the_measured_service_time() -> None:
    clock = Clock()
    admission = Admission(2, 4, clock)
    for _ in range(60):
        ticket = admission.enter()
        clock.now += 30
        ticket.release()
    enter(admission, 6)
    assert admission.advice() == pytest.approx(60, rel=0.01)


def test_13c_the_advice_stays_within_reason() -> None:
    clock = Clock()
    admission = Admission(1, 100, clock)
    for seconds, advice in ((0.001, 1.0), (1e9, LONGEST_ADVICE)):
        for _ in range(60):
            ticket = admission.enter()
            clock.now += seconds
            ticket.release()
        assert admission.advice() == advice


async def test_13d_the_waiting_are_told_each_change_of_their_place() -> None:
    admission = Admission(1, 5)
    first, second, third = enter(admission, 3)
    seen = []

    async def follow() -> None:
        while not third.granted:
            seen.append(third.position)
            await third.moved()

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    second.release()
    await asyncio.sleep(0)
    first.release()
    await following
    assert seen == [2, 1]


def test_14e_release_is_idempotent() -> None:
    admission = Admission(1, 1)
    first, second = enter(admission, 2)
    for _ in range(3):
        first.release()
    assert second.granted
    assert admission.load().processing == 1


def test_after_shut_nobody_enters_and_the_waiting_are_served() -> None:
    admission = Admission(1, 1)
    first, second = enter(admission, 2)
    admission.shut = True
    with pytest.raises(Draining):
        admission.enter()
    first.release()
    assert second.granted


class AdmissionMachine(RuleBasedStateMachine):
    """Random arrivals and leavings against a model: two plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.limit, self.queue_limit = 2, 3
        self.clock = Clock()
        self.admission = Admission(self.limit, self.queue_limit, self.clock)
        self.running: list[Ticket] = []
        self.waiting: list[Ticket] = []
        self.gone: list[Ticket] = []

    @rule()
    def arrive(self) -> None:
        if len(self.running) == self.limit and len(self.waiting) == self.queue_limit:
            with pytest.raises(TooManyRequests):
                self.admission.enter()
            return
        full = len(self.running) == self.limit
        (self.waiting if full else self.running).append(self.admission.enter())

    @precondition(lambda self: self.running or self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(self.running + self.waiting))
        ticket.release()
        self.gone.append(ticket)
        (self.running if ticket in self.running else self.waiting).remove(ticket)
        if len(self.running) < self.limit and self.waiting:
            self.running.append(self.waiting.pop(0))

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def leave_again(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.gone)).release()

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def agrees_with_the_model(self) -> None:
        load = self.admission.load()
        assert (load.processing, load.waiting) == (len(self.running), len(self.waiting))
        assert all(ticket.granted and ticket.position == 0 for ticket in self.running)
        assert [ticket.position for ticket in self.waiting] == list(range(1, len(self.waiting) + 1))
        assert not any(ticket.granted for ticket in self.waiting)
        assert 1 <= self.admission.advice() <= LONGEST_ADVICE


TestAdmissionMachine = AdmissionMachine.TestCase
TestAdmissionMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
