"""Daemons: started in sessions of their own, known by pid AND start time.

Each carries a mark in its environment (run folder and name), so that one whose pid file was deleted is
still found, and a recycled pid is never taken for one of ours.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from devcluster.commands import tail
from devcluster.errors import ProcessDied
from devcluster.paths import Layout

MARK = "CHATSTREAM_DEVCLUSTER"
STOP_SECONDS = 15.0
POLL_SECONDS = 0.1

Outcome = Literal["running", "started", "restarted"]


@dataclass(frozen=True, slots=True)
class Daemon:
    """One long-running process. A change of argv, env or of a file in `inputs` restarts it."""

    name: str
    argv: tuple[str, ...]
    healthy: Callable[[], bool]
    inputs: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    start_seconds: float = 60.0
    dies_with_parent: bool = False

    def fingerprint(self) -> str:
        """Changes when the daemon must be restarted; where its program lies does not count."""
        digest = hashlib.sha256()
        program = Path(self.argv[0]).resolve().name
        digest.update(json.dumps([program, self.argv[1:], sorted(self.env.items())]).encode())
        for path in self.inputs:
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Process:
    """A process as the kernel knows it: the start time tells it from a later one with the same pid."""

    pid: int
    start: int
    fingerprint: str = ""

    def alive(self) -> bool:
        return start_time(self.pid) == self.start


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which `pid` started; None when there is none, or only its corpse."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command in brackets may hold spaces and brackets itself: only what follows the last one is split.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def mark_of(layout: Layout, name: str) -> str:
    return f"{layout.run}:{name}"


def marked(prefix: str) -> Iterator[tuple[Process, str]]:
    """All processes whose mark starts with `prefix`, and the whole mark."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        mark = _mark(entry)
        start = start_time(int(entry.name)) if mark.startswith(prefix) else None
        if start is not None:
            yield Process(int(entry.name), start), mark


def find(layout: Layout, name: str) -> Process | None:
    """The running daemon of that name: by its pid file, else by its mark."""
    recorded = _read(layout, name)
    if recorded is not None and recorded.alive():
        return recorded
    # containerd's shims inherit its mark; the daemon itself leads the session that was made for it.
    for process, mark in marked(mark_of(layout, name)):
        own = mark == mark_of(layout, name) and session(process.pid) == process.pid
        if own and not _is_shim(process.pid):
            return process
    return None


def ensure(layout: Layout, daemon: Daemon) -> Outcome:
    """Bring the daemon to: running, healthy, with these arguments. ProcessDied when it does not get there."""
    process = find(layout, daemon.name)
    if process is not None and process.fingerprint == daemon.fingerprint() and _settles(daemon, process):
        return "running"
    if process is not None:
        stop(process)
    started = start(layout, daemon)
    wait_healthy(layout, daemon, started)
    return "started" if process is None else "restarted"


def start(layout: Layout, daemon: Daemon) -> Process:
    """Start it, detached; its output goes to the log named after it."""
    for folder in (layout.pids, layout.logs):
        folder.mkdir(parents=True, exist_ok=True)
    prefix = ("setpriv", "--pdeathsig", "KILL") if daemon.dies_with_parent else ()
    with log_file(layout, daemon.name).open("ab") as log:
        child = subprocess.Popen(
            [*prefix, *daemon.argv],
            env={**os.environ, **daemon.env, MARK: mark_of(layout, daemon.name)},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children[child.pid] = child
    process = Process(child.pid, start_time(child.pid) or 0, daemon.fingerprint())
    record = {"pid": process.pid, "start": process.start, "fingerprint": process.fingerprint}
    pid_file(layout, daemon.name).write_text(json.dumps(record))
    return process


def wait_healthy(layout: Layout, daemon: Daemon, process: Process) -> None:
    """Poll until healthy; ProcessDied, with the log's tail, when it ends first or takes too long."""
    deadline = time.monotonic() + daemon.start_seconds
    while time.monotonic() < deadline:
        if not process.alive():
            raise ProcessDied(f"{daemon.name} ended at once; {_log_tail(layout, daemon.name)}")
        if daemon.healthy():
            return
        time.sleep(POLL_SECONDS)
    raise ProcessDied(
        f"{daemon.name} is not healthy after {daemon.start_seconds:.0f} s; {_log_tail(layout, daemon.name)}"
    )


def stop(process: Process, seconds: float = STOP_SECONDS) -> None:
    """SIGTERM, then SIGKILL after `seconds`; returns when it is gone. Safe when it is gone already."""
    for number, limit in ((signal.SIGTERM, seconds), (signal.SIGKILL, STOP_SECONDS)):
        if not process.alive():
            break
        kill(process.pid, number)
        deadline = time.monotonic() + limit
        while process.alive() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 2)
    child = _children.pop(process.pid, None)
    if child is not None:
        child.wait(timeout=STOP_SECONDS)


def session(pid: int) -> int | None:
    """The session that the process belongs to; every daemon leads one of its own."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal; nothing happens when the process is gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def pid_file(layout: Layout, name: str) -> Path:
    return layout.pids / f"{name}.json"


def log_file(layout: Layout, name: str) -> Path:
    return layout.logs / f"{name}.log"


_children: dict[int, subprocess.Popen[bytes]] = {}
"""Those that this very process started: they are reaped when stopped."""


def _read(layout: Layout, name: str) -> Process | None:
    try:
        record = json.loads(pid_file(layout, name).read_text())
        return Process(int(record["pid"]), int(record["start"]), str(record["fingerprint"]))
    except (FileNotFoundError, ValueError, KeyError):
        return None


def _mark(entry: Path) -> str:
    """The mark of the process at /proc/PID, or nothing."""
    try:
        variables = (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    marks = [item for item in variables if item.startswith(f"{MARK}=".encode())]
    return marks[0].decode(errors="replace").partition("=")[2] if marks else ""


def _is_shim(pid: int) -> bool:
    try:
        return b"containerd-shim" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return True


def _settles(daemon: Daemon, process: Process, seconds: float = 5.0) -> bool:
    """A healthy process that is only slow to answer gets a few seconds before it is restarted."""
    deadline = time.monotonic() + seconds
    while process.alive():
        if daemon.healthy():
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return False


def _log_tail(layout: Layout, name: str) -> str:
    log = log_file(layout, name)
    text = log.read_text(errors="replace") if log.exists() else ""
    return f"the end of {log}:\n{tail(text, 15)}"
