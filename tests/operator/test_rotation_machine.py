"""A rotation among pods that come, go, read late and fall silent: whatever happens, nobody is logged out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatstream_operator.rotation import (
    ABSOLUTE_TIMEOUT,
    DWELL,
    Keys,
    Report,
    Ring,
    State,
    advance,
    fingerprint,
    needs_reports,
)

RINGS = ("session-keys", "encryption-keys")
START = datetime(2026, 1, 1, tzinfo=UTC)
LIFETIME = timedelta(seconds=ABSOLUTE_TIMEOUT)
PAUSES = [timedelta(seconds=seconds) for seconds in (0.5, 5, 10, 11, 12, 60, 0.6 * ABSOLUTE_TIMEOUT)]


@dataclass
class Pod:
    """version: of the Secret that it has read."""

    name: str
    version: int
    silent: bool = False


@dataclass
class World:
    """versions: of the Secret, with the time at which each was written."""

    now: datetime = START
    versions: list[tuple[datetime, Keys]] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    used: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def rings(self, pod: Pod) -> Mapping[str, Ring]:
        return self.versions[pod.version][1].rings

    def oldest_that_is_served(self) -> int:
        """Caches of the API server give what was current within the dwell."""
        newer = [number for number, (at, _) in enumerate(self.versions) if self.now - at >= DWELL]
        return max(newer, default=0)

    def reports(self) -> list[Report]:
        return [
            Report(pod.name, None, "silent")
            if pod.silent
            else Report(
                pod.name, {name: list(map(fingerprint, ring)) for name, ring in self.rings(pod).items()}
            )
            for pod in self.pods
        ]

    def use(self) -> None:
        """Every pod signs and encrypts, at every moment, with the first of its keys."""
        for pod in self.pods:
            for name, ring in self.rings(pod).items():
                self.used[name, ring[0]] = self.now


class Rotations(RuleBasedStateMachine):
    """The operator's writes are to the version that it read: what another wrote meanwhile makes them fail."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = itertools.count(1)
        keys = Keys({name: (self.new_key(),) for name in RINGS}, State())
        self.world = World(versions=[(START, keys)])
        self.request = ""

    def new_key(self) -> str:
        return f"key number {next(self.numbers):05}"

    @property
    def keys(self) -> Keys:
        return self.world.versions[-1][1]

    def step(self, keys: Keys, reports: Sequence[Report] | None) -> Keys | None:
        now, request = self.world.now, self.request
        step = advance(keys, request=request, now=now, reports=reports, new_key=self.new_key)
        return step.keys if step else None

    @rule(lag=st.integers(0, 3))
    def start_a_pod(self, lag: int) -> None:
        versions = self.world.versions
        version = max(self.world.oldest_that_is_served(), len(versions) - 1 - lag)
        if len(self.world.pods) < 4:
            self.world.pods.append(Pod(f"pod-{next(self.numbers)}", version))

    @precondition(lambda self: self.world.pods)
    @rule(which=st.integers(0, 3), forward=st.integers(1, 3))
    def a_pod_reads(self, which: int, forward: int) -> None:
        pod = self.world.pods[which % len(self.world.pods)]
        pod.version = min(pod.version + forward, len(self.world.versions) - 1)

    @precondition(lambda self: self.world.pods)
    @rule(which=st.integers(0, 3))
    def a_pod_falls_silent_or_speaks_again(self, which: int) -> None:
        pod = self.world.pods[which % len(self.world.pods)]
        pod.silent = not pod.silent

    @precondition(lambda self: self.world.pods)
    @rule(which=st.integers(0, 3))
    def a_pod_ends(self, which: int) -> None:
        del self.world.pods[which % len(self.world.pods)]

    @rule(pause=st.sampled_from(PAUSES))
    def time_passes(self, pause: timedelta) -> None:
        # Until then the pods go on signing with what they have.
        self.world.now += pause
        self.world.use()

    @rule(withdrawn=st.booleans())
    def a_rotation_is_asked_for(self, *, withdrawn: bool) -> None:
        self.request = "" if withdrawn else f"request {next(self.numbers)}"

    @rule(pause=st.sampled_from(PAUSES))
    def the_operator_looks(self, pause: timedelta) -> None:
        self.time_passes(pause)
        wanted = needs_reports(self.keys.state, self.world.now)
        self.write(self.step(self.keys, self.world.reports() if wanted else None))

    def write(self, after: Keys | None) -> None:
        if after is not None:
            self.world.versions.append((self.world.now, after))

    @rule()
    def the_operator_is_killed_before_it_writes(self) -> None:
        self.step(self.keys, self.world.reports())

    @rule(pods=st.integers(0, 2), lag=st.integers(0, 2))
    def pods_start_between_the_answers_and_the_write(self, pods: int, lag: int) -> None:
        reports = self.world.reports()
        after = self.step(self.keys, reports)
        for _ in range(pods):
            self.start_a_pod(lag)
        self.write(after)

    @invariant()
    def what_one_pod_signs_every_other_accepts(self) -> None:
        self.world.use()
        for one, other in itertools.product(self.world.pods, repeat=2):
            for name in RINGS:
                assert self.world.rings(one)[name][0] in self.world.rings(other)[name], (one, other)

    @invariant()
    def what_was_signed_is_accepted_until_its_end(self) -> None:
        for (name, key), at in self.world.used.items():
            if self.world.now - at < LIFETIME:
                for pod in self.world.pods:
                    assert key in self.world.rings(pod)[name], (pod, key)
                assert key in self.keys.rings[name]

    @invariant()
    def no_key_is_twice_in_a_ring_and_rings_stay_small(self) -> None:
        for ring in self.keys.rings.values():
            assert len(set(ring)) == len(ring)

    def teardown(self) -> None:
        """With pods that read and answer, it comes to an end: one key, of the newest request."""
        for pod in self.world.pods:
            pod.silent = False
        for _ in range(12):
            for pod in self.world.pods:
                pod.version = len(self.world.versions) - 1
            self.the_operator_looks(DWELL)
        assert (self.keys.state.phase, self.keys.state.fresh) == ("settled", {})
        assert self.request in ("", self.keys.state.handled)
        self.the_operator_looks(LIFETIME)
        assert {len(ring) for ring in self.keys.rings.values()} == {1}


Rotations.TestCase.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
TestRotations = Rotations.TestCase
