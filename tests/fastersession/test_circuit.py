"""The circuit breaker, in virtual time: it opens late enough, tries seldom enough, and never stays open."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fastersession.circuit import FIRST_PAUSE, LONGEST_PAUSE, THRESHOLD, Circuit, Ticket
from tests.fastersession.stores import Clock


@dataclass
class Bench:
    """A circuit, and a clock that only the test moves. Pauses are drawn as long as they can be."""

    clock: Clock = field(default_factory=lambda: Clock(0.0))

    def __post_init__(self) -> None:
        self.circuit = Circuit(clock=self.clock, draw=lambda _, longest: longest)

    def admitted(self) -> Ticket:
        ticket = self.circuit.admit()
        assert ticket is not None
        return ticket

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.circuit.failed(self.admitted())

    def fail_trial_after(self, seconds: float) -> None:
        self.clock.now += seconds
        self.fail()


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def opened(bench: Bench) -> Bench:
    bench.fail(THRESHOLD)
    return bench


def test_it_opens_with_the_fifth_failure_in_a_row(bench: Bench) -> None:
    bench.fail(THRESHOLD - 1)
    assert not bench.circuit.is_open
    assert bench.circuit.failed(bench.admitted())
    assert bench.circuit.is_open


def test_a_success_between_begins_the_count_anew(bench: Bench) -> None:
    bench.fail(THRESHOLD - 1)
    bench.circuit.succeeded()
    bench.fail(THRESHOLD - 1)
    assert not bench.circuit.is_open


def test_nobody_calls_before_the_pause_is_over(opened: Bench) -> None:
    assert opened.circuit.wait == FIRST_PAUSE
    opened.clock.now += FIRST_PAUSE - 0.01
    assert opened.circuit.admit() is None
    opened.clock.now += 0.01
    assert opened.admitted().trial


def test_one_trial_at_a_time(opened: Bench) -> None:
    opened.clock.now += FIRST_PAUSE
    opened.admitted()
    opened.clock.now += 1000
    assert opened.circuit.admit() is None


def test_pauses_double_up_to_the_longest(opened: Bench) -> None:
    pauses = []
    for _ in range(6):
        pauses.append(opened.circuit.wait)
        opened.fail_trial_after(opened.circuit.wait)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_success_closes_it_and_forgets_the_pauses(opened: Bench) -> None:
    opened.fail_trial_after(FIRST_PAUSE)
    opened.clock.now += 2 * FIRST_PAUSE
    opened.admitted()
    assert opened.circuit.succeeded()
    assert not opened.circuit.is_open
    opened.fail(THRESHOLD)
    assert opened.circuit.wait == FIRST_PAUSE


def test_a_cancelled_trial_gives_its_place_back(opened: Bench) -> None:
    opened.clock.now += FIRST_PAUSE
    opened.circuit.abandoned(opened.admitted())
    assert opened.admitted().trial


def test_calls_from_before_say_nothing_new(bench: Bench) -> None:
    """A hundred calls hung when Redis froze; their failures come in after it has answered a trial."""
    hanging = [bench.admitted() for _ in range(100)]
    bench.fail(THRESHOLD)
    bench.clock.now += FIRST_PAUSE
    bench.admitted()
    bench.circuit.succeeded()
    assert not any(bench.circuit.failed(ticket) for ticket in hanging)
    assert not bench.circuit.is_open


def test_an_answer_to_a_call_from_before_closes_it_too(bench: Bench) -> None:
    bench.admitted()
    bench.fail(THRESHOLD)
    bench.clock.now += FIRST_PAUSE
    trial = bench.admitted()
    assert bench.circuit.succeeded()
    bench.circuit.failed(trial)  # it was sent before that answer came
    bench.circuit.abandoned(trial)
    assert not bench.circuit.is_open


@given(seed=st.integers(), failures=st.integers(0, 40))
def test_whatever_it_draws_a_trial_comes_within_the_longest_pause(seed: int, failures: int) -> None:
    clock = Clock(0.0)
    circuit = Circuit(clock=clock, draw=random.Random(seed).uniform)
    for _ in range(THRESHOLD + failures):
        clock.now += circuit.wait
        ticket = circuit.admit()
        assert ticket is not None
        circuit.failed(ticket)
        assert 0 < circuit.wait <= LONGEST_PAUSE or not circuit.is_open


class AnyTraffic(RuleBasedStateMachine):
    """Calls of all outcomes, in any order, at any pace, on a Redis that comes and goes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(0.0)
        self.circuit = Circuit(clock=self.clock, draw=random.Random(1).uniform)
        self.under_way: list[Ticket] = []

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.0, 5.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def begins(self) -> None:
        ticket = self.circuit.admit()
        if ticket is not None:
            assert ticket.trial == self.circuit.is_open
            self.under_way.append(ticket)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 10), outcome=st.sampled_from(["answer", "failure", "cancelled"]))
    def ends(self, which: int, outcome: str) -> None:
        ticket = self.under_way.pop(which % len(self.under_way))
        match outcome:
            case "answer":
                self.circuit.succeeded()
                assert not self.circuit.is_open
            case "failure":
                self.circuit.failed(ticket)
            case _:
                self.circuit.abandoned(ticket)

    @invariant()
    def at_most_one_trial_is_under_way(self) -> None:
        trials = [t for t in self.under_way if t.trial and t.era == self.circuit._era]
        assert len(trials) <= 1

    @invariant()
    def it_is_never_stuck(self) -> None:
        """With no trial under way, the longest pause is the longest wait for one."""
        assert self.circuit.wait <= LONGEST_PAUSE
        on_trial = any(t.trial and t.era == self.circuit._era for t in self.under_way)
        assert self.circuit._on_trial == on_trial

    def teardown(self) -> None:
        """Redis is back: what is under way ends, a call is let through, its answer closes the circuit."""
        for ticket in self.under_way:
            self.circuit.abandoned(ticket)
        self.clock.now += LONGEST_PAUSE
        assert self.circuit.admit() is not None
        self.circuit.succeeded()
        assert not self.circuit.is_open


TestAnyTraffic = AnyTraffic.TestCase
