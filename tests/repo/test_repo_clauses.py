"""The list of proven behaviour clauses agrees with the tests' names."""

from __future__ import annotations

import pytest

from tools import clauses


def test_the_list_is_what_is_tested(capsys: pytest.CaptureFixture[str]) -> None:
    status = clauses.main()
    assert (status, capsys.readouterr().out) == (0, "")


@pytest.mark.parametrize(
    ("name", "number"),
    [("12a_never_more", "12"), ("1b_x", "1"), ("01b_x", "1"), ("31b_x", "31"), ("31ba_x", "31b")],
)
def test_names_carry_the_clause(name: str, number: str) -> None:
    assert clauses.find_tested([f"    async def test_{name}() -> None:\n"]) == {number}


@pytest.mark.parametrize("name", ["12_no_letter", "no_number", "12ab_two_letters"])
def test_other_names_carry_none(name: str) -> None:
    assert clauses.find_tested([f"def test_{name}() -> None:\n"]) == set()


def test_the_list_takes_titles_and_comments() -> None:
    assert clauses.parse_list("# clauses\n\n1 The endpoint\n31b Cancel\n") == ["1", "31b"]


@pytest.mark.parametrize(
    ("listed", "tested", "problem"),
    [
        (["1", "2"], {"1"}, "clause 2 has no test: name one test_2a_..."),
        (["1"], {"1", "2"}, "clause 2 has a test, but is not in tests/clauses.txt"),
        (["1", "1"], {"1"}, "clause 1 is listed twice"),
        (["40"], {"40"}, "clause 40 is not one of 1 to 32 or 31b"),
    ],
)
def test_a_disagreement_is_said(listed: list[str], tested: set[str], problem: str) -> None:
    assert clauses.find_problems(listed, tested) == [problem]
