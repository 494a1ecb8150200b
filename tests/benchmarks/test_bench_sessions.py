"""The benchmark of the sessions runs, tiny: with real servers and a real Redis, and no time is asserted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import load
from benchmarks.processes import REPOSITORY, BenchmarkFailed, first_line, running
from benchmarks.sessions.cases import cases
from devcluster import golang

TINY = ("--rounds", "1", "--seconds", "0.1", "--warmup", "0", "--clients", "2", "--without-peers")
ARGV = [sys.executable, "-m", "benchmarks.sessions"]


@pytest.fixture(scope="module", autouse=True)
def _load_generator() -> None:
    load.build()


def children(pid: int) -> list[int]:
    """Of a process: the servers that it started."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def runs(pid: int) -> bool:
    """Whether it still does anything; nobody may be there to bury one whose parent is gone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def all_end(pids: list[int], seconds: float) -> bool:
    """Whether they do in time: what is being started in that moment, the kernel ends with its parent."""
    deadline = time.monotonic() + seconds
    while any(runs(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_tiny_run_measures_every_case_and_counts_the_round_trips() -> None:
    done = subprocess.run([*ARGV, *TINY], cwd=REPOSITORY, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    measured = [(case["session"], case["messages"]) for case in said["cases"]]
    assert measured == [(case.name, case.messages) for case in cases(with_peers=False)]
    assert said["round_trips"] == {"load": 1, "save": 1, "turn": 2}
    assert said["versions"].keys() >= {"python", "redis-server", "starlette", "redis"}


def test_a_run_that_is_ended_leaves_nothing_behind() -> None:
    argv = [*ARGV, *TINY, "--seconds", "30", "--only", "no session"]
    with subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 20
        assert process.stdout is not None
        process.stdout.readline()  # it says what runs when all of it runs
        started = children(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=deadline - time.monotonic()) == 143
    assert len(started) >= 2
    assert all_end(started, 5)


def test_a_server_that_does_not_start_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log"
    argv = [sys.executable, "-c", "raise SystemExit('the reason')"]
    with running(argv, core=0, log=log) as process, pytest.raises(BenchmarkFailed, match="the reason"):
        first_line(process, log)


@pytest.mark.timeout(300)  # from nothing, Go compiles its own library first
def test_the_load_generator_passes_its_own_tests() -> None:
    argv = [str(golang.ensure()), "test", "."]
    done = subprocess.run(argv, cwd=load.SOURCE, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
