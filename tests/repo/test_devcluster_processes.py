"""Daemons and the lock, with real processes in a folder of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devcluster import processes, state
from devcluster.errors import CannotContinue, ProcessDied
from devcluster.paths import Layout
from devcluster.processes import Daemon, Process


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(tmp_path / "state", tmp_path / "run")
    yield layout
    for process, _ in processes.marked(f"{layout.run}:"):
        processes.stop(process, seconds=1)


def sleeper(name: str = "sleeper", seconds: str = "60") -> Daemon:
    return Daemon(name, ("sleep", seconds), healthy=lambda: True)


def test_a_healthy_daemon_is_left_alone(layout: Layout) -> None:
    assert processes.ensure(layout, sleeper()) == "started"
    first = processes.find(layout, "sleeper")
    assert processes.ensure(layout, sleeper()) == "running"
    assert processes.find(layout, "sleeper") == first


def test_a_killed_one_is_started_again(layout: Layout) -> None:
    processes.ensure(layout, sleeper())
    first = processes.find(layout, "sleeper")
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    assert processes.ensure(layout, sleeper()) == "started"


def test_other_arguments_restart_it(layout: Layout) -> None:
    processes.ensure(layout, sleeper())
    first = processes.find(layout, "sleeper")
    assert processes.ensure(layout, sleeper(seconds="61")) == "restarted"
    assert first is not None
    assert not first.alive()


def test_a_changed_input_restarts_it(layout: Layout, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("1")
    daemon = replace(sleeper(), inputs=(config,))
    processes.ensure(layout, daemon)
    config.write_text("2")
    assert processes.ensure(layout, daemon) == "restarted"


def test_one_whose_pid_file_is_gone_is_found_by_its_mark(layout: Layout) -> None:
    processes.ensure(layout, sleeper())
    first = processes.find(layout, "sleeper")
    assert first is not None
    processes.pid_file(layout, "sleeper").unlink()
    found = processes.find(layout, "sleeper")
    assert found is not None
    assert found.pid == first.pid
    assert processes.find(layout, "sleep") is None


def test_a_recycled_pid_is_not_taken_for_ours(layout: Layout) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        layout.pids.mkdir(parents=True)
        record = f'{{"pid": {stranger.pid}, "start": 1, "fingerprint": "x"}}'
        processes.pid_file(layout, "sleeper").write_text(record)
        assert processes.find(layout, "sleeper") is None
        processes.stop(Process(stranger.pid, 1), seconds=1)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(timeout=10)


def test_one_that_ignores_sigterm_is_killed(layout: Layout) -> None:
    argv = ("sh", "-c", "trap '' TERM; while :; do sleep 1; done")
    process = processes.start(layout, Daemon("stubborn", argv, healthy=lambda: True))
    processes.stop(process, seconds=0.5)
    assert not process.alive()


def test_one_that_ends_at_once_is_told_with_its_log(layout: Layout) -> None:
    daemon = Daemon("broken", ("sh", "-c", "echo the reason; exit 3"), healthy=lambda: False)
    with pytest.raises(ProcessDied, match=r"(?s)broken ended.*the reason"):
        processes.ensure(layout, daemon)


def test_one_that_never_gets_healthy_is_told(layout: Layout) -> None:
    daemon = replace(sleeper(), healthy=lambda: False, start_seconds=0.3)
    with pytest.raises(ProcessDied, match="not healthy after 0 s"):
        processes.ensure(layout, daemon)


# Healthy once the program itself runs: before that, nobody has asked the kernel to end it with its parent.
PARENT = """
import os, signal, sys
from pathlib import Path
from devcluster import processes
from devcluster.paths import Layout

layout = Layout(Path(sys.argv[1]), Path(sys.argv[2]))

def runs():
    child = processes.find(layout, "child")
    return child is not None and Path(f"/proc/{child.pid}/comm").read_text() == "sleep\\n"

daemon = processes.Daemon("child", ("sleep", "60"), healthy=runs, dies_with_parent=True)
processes.wait_healthy(layout, daemon, processes.start(layout, daemon))
print("runs", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_dies_with_its_parent_when_told_so(layout: Layout) -> None:
    repository = Path(processes.__file__).parent.parent
    argv = [sys.executable, "-c", PARENT, str(layout.state), str(layout.run)]
    done = subprocess.run(argv, cwd=repository, timeout=30, check=False, capture_output=True, text=True)
    assert done.stdout == "runs\n", done.stderr
    deadline = time.monotonic() + 10
    while processes.find(layout, "child") is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_cannot_work_on_the_cluster_at_once(layout: Layout) -> None:
    said = rf"Another run .* \(pid {os.getpid()}\)"
    with state.locked(layout), pytest.raises(CannotContinue, match=said), state.locked(layout):
        pass
    with state.locked(layout):
        pass
    assert list(layout.run.parent.iterdir()) == []


def test_facts_are_read_as_written_and_refused_when_of_another_format(layout: Layout) -> None:
    assert state.read(layout) is None
    facts = state.Facts("10.0.0.1", {"net/ipv4/ip_forward": "0"})
    state.write(layout, facts)
    assert state.read(layout) == facts
    state.write(layout, replace(facts, format=state.FORMAT + 1))
    assert state.read(layout) is None
