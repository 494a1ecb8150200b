"""What is made of the figures that were measured."""

from __future__ import annotations

import pytest

from benchmarks.figures import ratio, spread, table
from benchmarks.load import Measured, read
from benchmarks.processes import BenchmarkFailed
from benchmarks.sessions import report
from benchmarks.sessions.cases import OURS, PEER, Case, cases, is_right
from benchmarks.sessions.conversation import answer, characters, message, messages, next_turn

RAW = {"requests": 4, "per_second": 2.0, "p50_ms": 1.0, "p99_ms": 3.0, "cpu_seconds": {"7": 0.02, "8": 0.01}}


def measured(per_second: float) -> Measured:
    return Measured(100, per_second, 1.0, 2.0, 50.0, 5.0, ())


def results(**speeds: list[float]) -> report.Results:
    """Of ours and of starsessions' at a size: ours_200=[...], peer_200=[...]."""
    names = {"ours": OURS, "peer": PEER}
    known = {(case.name, case.messages): case for case in cases(with_peers=True)}
    found: report.Results = {}
    for key, values in speeds.items():
        side, _, size = key.partition("_")
        found[known[names[side], int(size)]] = [measured(value) for value in values]
    return found


def test_a_ratio_is_taken_round_by_round() -> None:
    found = ratio([100, 10, 40], [50, 2, 10])
    assert (found.median, found.least, found.most) == (4, 2, 5)
    with pytest.raises(ValueError, match="zip"):
        ratio([1], [1, 2])


def test_a_spread_is_shown_with_its_ends() -> None:
    assert spread([1000, 3000, 2000]).text() == "2,000 (1,000–3,000)"  # noqa: RUF001
    assert spread([1 / 3]).as_json() == [0.33333, 0.33333, 0.33333]


def test_a_table_has_columns_of_even_width() -> None:
    assert table(["a", "bb"], [["long", "1"]]).splitlines() == [
        "| a    | bb |",
        "|------|---:|",
        "| long |  1 |",
    ]


def test_processor_time_is_that_of_one_request() -> None:
    one = read({**RAW, "sessions": [{"requests": 5, "last": "{}"}]}, 7, 8)
    assert (one.cpu_us, one.redis_cpu_us, one.sessions) == (5000, 2500, ((5, "{}"),))
    with pytest.raises(BenchmarkFailed, match="no request ended"):
        read({**RAW, "requests": 0, "sessions": []}, 7, 8)


def test_targets_are_medians_of_ratios() -> None:
    met = report.targets(results(ours_2=[110], ours_200=[100, 300], peer_200=[50, 100], ours_2000=[100]))
    assert [(one.ratio.median, one.is_met) for one in met] == [(2.5, True), (1.1, True)]
    missed = report.targets(results(ours_2=[130], ours_2000=[100], peer_2000=[11]))
    assert [one.is_met for one in missed] == [False, False]
    assert "target at least 10: MISSED" in missed[0].text()
    assert "target at most 1.2: MISSED" in missed[1].text()


def test_a_report_shows_every_case_and_what_follows() -> None:
    outcome = report.Outcome({"python": "3"}, results(ours_200=[400], peer_200=[100]), {"load": 1})
    shown, said = report.text(outcome), report.as_json(outcome)
    assert "| 200, starsessions, Redis" in shown
    assert "round trips to Redis, load: 1" in shown
    assert said["python"] == "3"
    assert [case["per_second"] for case in said["cases"]] == [[400.0] * 3, [100.0] * 3]
    target = {"ratio": [4.0] * 3, "by_cpu": [1.0] * 3, "met": True}
    assert said["targets"] == {"requests/s by starsessions', 200 messages": target}


def test_messages_are_of_realistic_sizes_and_always_the_same() -> None:
    user, reply = messages(2)
    assert (user["role"], len(user["text"]), reply["role"], len(reply["text"])) == (
        "user",
        100,
        "assistant",
        800,
    )
    assert message(1) == reply


def test_a_turn_goes_on_from_the_last_message() -> None:
    window = messages(20)
    turn = next_turn(window[-1])
    assert [one["role"] for one in turn] == ["user", "assistant"]
    assert [int(one["id"], 16) for one in turn] == [20, 21]
    assert answer(characters(window), turn) == {"read": 9_000, "last": 21}


@pytest.mark.parametrize(
    ("body", "is_fine"),
    [
        ('{"read": 40, "last": 205, "more": 1}', True),
        ('{"read": 40, "last": 203}', False),
        ('{"read": 39, "last": 205}', False),
        ("{}", False),
    ],
    ids=["all", "a lost turn", "a short window", "nothing"],
)
def test_an_answer_tells_when_a_session_was_lost(body: str, is_fine: bool) -> None:
    [case] = [one for one in cases(with_peers=False) if (one.name, one.messages) == (OURS, 200)]
    assert is_right(case, 3, body) is is_fine


def test_each_case_is_named_once() -> None:
    found: list[Case] = cases(with_peers=True)
    assert len({(case.name, case.messages) for case in found}) == len(found)
    assert not any(case.name == PEER for case in cases(with_peers=False))
