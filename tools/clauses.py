"""Which clauses of the server's behaviour are proven: `python -m tools.clauses`.

Each clause has a number, and its tests carry it with a letter in their names: test_12a_never_more_than_n_run.
tests/clauses.txt lists the clauses that must have a test; a clause with a test that is not listed is a fault
too, so that the list is exactly what is proven.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = frozenset([*map(str, range(1, 33)), "31b"])
TEST = re.compile(r"^\s*(?:async )?def test_(31b(?=[a-z]_)|\d+)[a-z]_", re.MULTILINE)


def parse_list(text: str) -> list[str]:
    """The listed clauses: the first word of each line; the rest is its title."""
    return [line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")]


def find_tested(sources: Iterable[str]) -> set[str]:
    """The clauses in the names of tests; 1 may be written 01 there."""
    return {number.lstrip("0") for source in sources for number in TEST.findall(source)}


def find_problems(listed: list[str], tested: set[str]) -> list[str]:
    """What is wrong, one sentence each; empty where list and tests agree."""
    chosen = set(listed)
    return [
        *(f"clause {number} is not one of 1 to 32 or 31b" for number in _sorted((chosen | tested) - NUMBERS)),
        *(f"clause {number} is listed twice" for number in _sorted(n for n in chosen if listed.count(n) > 1)),
        *(f"clause {number} has no test: name one test_{number}a_..." for number in _sorted(chosen - tested)),
        *(
            f"clause {number} has a test, but is not in tests/clauses.txt"
            for number in _sorted(tested - chosen)
        ),
    ]


def _sorted(numbers: Iterable[str]) -> list[str]:
    return sorted(numbers, key=lambda number: (int(number.rstrip("b")), number))


def main(root: Path = ROOT) -> int:
    tests = root / "tests"
    sources = [path.read_text() for path in sorted(tests.rglob("test_*.py"))]
    problems = find_problems(parse_list((tests / "clauses.txt").read_text()), find_tested(sources))
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
