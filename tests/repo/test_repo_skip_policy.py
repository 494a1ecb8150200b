"""The policy on skipped tests, seen in runs of pytest of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
SUITE = """
import pytest

def test_runs(): pass

@pytest.mark.skip(reason="why not")
def test_skipped(): pass

@pytest.mark.xfail
def test_expected_to_fail(): assert False
"""
MODULE = "import pytest\npytest.skip('nothing here', allow_module_level=True)\n"


@dataclass(frozen=True, slots=True)
class Suite:
    """A small suite under the policy."""

    folder: Path

    def write(self, name: str, text: str) -> None:
        (self.folder / "tests" / name).write_text(text)

    def run(self, *arguments: str, ci: str = "true") -> tuple[int, str]:
        environment = {**os.environ, "CI": ci, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "xdist", *arguments]
        done = subprocess.run(
            argv, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=50, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    made = Suite(tmp_path)
    made.write("conftest.py", CONFTEST.read_text())
    made.write("test_some.py", SUITE)
    return made


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "in-parallel"])
def test_a_skipped_test_fails_ci_and_is_named(suite: Suite, arguments: list[str]) -> None:
    status, out = suite.run(*arguments)
    assert status == 1
    assert "tests/test_some.py::test_skipped" in out.partition("not named in tests/skips.txt")[2]
    assert "test_expected_to_fail" not in out.partition("not named in tests/skips.txt")[2]


def test_outside_ci_a_test_may_be_skipped(suite: Suite) -> None:
    assert suite.run(ci="")[0] == 0


@pytest.mark.parametrize("name", ["tests/test_some.py::test_skipped", "tests/test_some.py"])
def test_a_listed_skip_passes(suite: Suite, name: str) -> None:
    suite.write("skips.txt", f"# why\n\n{name} no such device here\n")
    assert suite.run()[0] == 0


def test_a_listed_skip_needs_a_reason(suite: Suite) -> None:
    suite.write("skips.txt", "tests/test_some.py::test_skipped\n")
    status, out = suite.run()
    assert status == pytest.ExitCode.USAGE_ERROR
    assert "has no reason" in out


@pytest.mark.parametrize("arguments", [[], ["-n", "2"]], ids=["alone", "in-parallel"])
def test_a_skipped_module_counts_too(suite: Suite, arguments: list[str]) -> None:
    suite.write("test_some.py", "def test_runs(): pass\n")
    suite.write("test_module.py", MODULE)
    status, out = suite.run(*arguments)
    assert status == 1
    assert "tests/test_module.py" in out.partition("not named in tests/skips.txt")[2]


def test_a_failed_run_stays_failed(suite: Suite) -> None:
    suite.write("test_some.py", "def test_fails(): assert False\n")
    assert suite.run()[0] == pytest.ExitCode.TESTS_FAILED
