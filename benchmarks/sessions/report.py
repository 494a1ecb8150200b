"""What a run says: a table for people, one line of JSON for programs, and whether the targets were met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import Spread, ratio, spread, table
from benchmarks.load import Measured
from benchmarks.sessions.cases import FLOOR, OURS, PEER, SIZES, USED, Case

Results = dict[Case, list[Measured]]
Key = tuple[str, int]
Figures = Callable[[list[Measured]], list[float]]
_HEAD = ("messages, session", "requests/s", "p50 ms", "p99 ms", "server CPU µs", "Redis CPU µs", "by first")


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of a run. `round_trips` of ours to Redis: load, save, turn."""

    environment: dict[str, Any]
    results: Results
    round_trips: dict[str, float]


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio of requests/s that is to be at least, or at most, so much.

    `by_cpu` is the same of requests per second of the server's processor time: equal on an idle machine, and
    what still tells something on one where others are at work.
    """

    name: str
    ratio: Spread
    by_cpu: Spread
    at_least: float = 0
    at_most: float = float("inf")

    @property
    def is_met(self) -> bool:
        return self.at_least <= self.ratio.median <= self.at_most

    def text(self) -> str:
        limit = f"at least {self.at_least:g}" if self.at_least else f"at most {self.at_most:g}"
        verdict = "met" if self.is_met else "MISSED"
        return f"{self.name}: {self.ratio.text(2)}, target {limit}: {verdict}; by cpu {self.by_cpu.text(2)}"


def targets(results: Results) -> list[Target]:
    """Those of which both sides were run."""
    wanted: list[tuple[str, Key, Key, dict[str, float]]] = [
        ("requests/s by starsessions', 200 messages", (OURS, 200), (PEER, 200), {"at_least": 2}),
        ("requests/s by starsessions', 2,000 messages", (OURS, 2_000), (PEER, 2_000), {"at_least": 10}),
        ("time of a load and save, 2,000 messages by 2", (OURS, 2), (OURS, 2_000), {"at_most": 1.2}),
    ]
    found: list[Target] = []
    for name, ours, theirs, limit in wanted:
        by_clock = _ratio(results, ours, theirs, _per_second)
        by_cpu = _ratio(results, ours, theirs, _per_cpu_second)
        if by_clock is not None and by_cpu is not None:
            found.append(Target(name, by_clock, by_cpu, **limit))
    return found


def ratios(results: Results) -> dict[str, Spread]:
    """What else is worth a look, without a target; of requests/s."""
    pairs = {f"ours by the floor, {size:,} messages": ((OURS, size), (FLOOR, size)) for size in (0, *SIZES)}
    for size in SIZES:
        name = f"ours with every message used by starsessions', {size:,} messages"
        pairs[name] = ((USED, size), (PEER, size))
    pairs["ours with every message used, 2 messages by 2,000"] = ((USED, 2), (USED, 2_000))
    found = {name: _ratio(results, *pair, _per_second) for name, pair in pairs.items()}
    return {name: one for name, one in found.items() if one is not None}


def text(outcome: Outcome) -> str:
    """The table, medians with their spread over the rounds in brackets, and what follows from it."""
    results = outcome.results
    lines = [table(_HEAD, list(_rows(results))), ""]
    lines += [f"round trips to Redis, {name}: {count:g}" for name, count in outcome.round_trips.items()]
    lines += [f"requests/s, {name}: {one.text(2)}" for name, one in ratios(results).items()]
    lines += [target.text() for target in targets(results)]
    return "\n".join(lines)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Everything; of each figure [median, least, most] over the rounds."""
    results = outcome.results
    return {
        **outcome.environment,
        "cases": [_case_as_json(case, rounds) for case, rounds in results.items()],
        "round_trips": outcome.round_trips,
        "ratios": {name: found.as_json() for name, found in ratios(results).items()},
        "targets": {one.name: _target_as_json(one) for one in targets(results)},
    }


def _case_as_json(case: Case, rounds: list[Measured]) -> dict[str, Any]:
    figures = ("per_second", "p50_ms", "p99_ms", "cpu_us", "redis_cpu_us")
    of_each = {name: spread([getattr(one, name) for one in rounds]).as_json() for name in figures}
    return {"session": case.name, "messages": case.messages, **of_each}


def _target_as_json(target: Target) -> dict[str, Any]:
    return {"ratio": target.ratio.as_json(), "by_cpu": target.by_cpu.as_json(), "met": target.is_met}


def _rows(results: Results) -> Iterator[Sequence[str]]:
    for case, rounds in results.items():
        first = next(one for one in results if one.messages == case.messages)
        yield (
            f"{case.messages or 'trivial'}, {case.name}",
            spread(_per_second(rounds)).text(),
            spread([one.p50_ms for one in rounds]).text(2),
            spread([one.p99_ms for one in rounds]).text(2),
            f"{spread([one.cpu_us for one in rounds]).median:,.0f}",
            f"{spread([one.redis_cpu_us for one in rounds]).median:,.0f}",
            f"{ratio(_per_second(rounds), _per_second(results[first])).median:.2f}",
        )


def _ratio(results: Results, ours: Key, theirs: Key, figures: Figures) -> Spread | None:
    found = {(case.name, case.messages): figures(rounds) for case, rounds in results.items()}
    return ratio(found[ours], found[theirs]) if ours in found and theirs in found else None


def _per_second(rounds: list[Measured]) -> list[float]:
    return [one.per_second for one in rounds]


def _per_cpu_second(rounds: list[Measured]) -> list[float]:
    return [1e6 / one.cpu_us for one in rounds]
