"""In CI (CI=true) a test that was skipped fails the run, unless tests/skips.txt names it with a reason."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

LIST = Path(__file__).with_name("skips.txt")


def parse_skips(text: str) -> dict[str, str]:
    """Ids (or the beginning of one, up to `::` or `[`) and reasons, a pair a line; `#` begins a comment."""
    pairs: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        node, _, reason = line.partition(" ")
        if not reason.strip():
            raise pytest.UsageError(f"tests/skips.txt: {node} has no reason")
        pairs[node] = reason.strip()
    return pairs


def is_listed(node: str, listed: Mapping[str, str]) -> bool:
    return any(node == name or node.startswith((f"{name}::", f"{name}[")) for name in listed)


class SkipPolicy:
    """Notes what was skipped; enforced, it turns an unlisted skip into a failed run."""

    def __init__(self, listed: Mapping[str, str], enforced: bool) -> None:
        self.listed = listed
        self.enforced = enforced
        self.unlisted: list[str] = []

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        # An expected failure is reported as skipped too, but it ran.
        if report.skipped and not hasattr(report, "wasxfail") and not is_listed(report.nodeid, self.listed):
            self.unlisted.append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.enforced and self.unlisted and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.enforced and self.unlisted:
            terminalreporter.section("skipped, and not named in tests/skips.txt", red=True)
            for node in self.unlisted:
                terminalreporter.line(node)


def pytest_configure(config: pytest.Config) -> None:
    listed = parse_skips(LIST.read_text() if LIST.is_file() else "")
    config.pluginmanager.register(SkipPolicy(listed, os.environ.get("CI") == "true"), "skip-policy")
