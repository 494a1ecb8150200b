"""Processes of a benchmark: each on one core, awaited with a limit, ended on every path."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
_PR_SET_PDEATHSIG = 1
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0


class BenchmarkFailed(Exception):
    """The benchmark cannot go on; the text says why, for the person who runs it."""


@dataclass(frozen=True, slots=True)
class Cores:
    """What is measured alone on one core; what measures, and Redis, on another, if there is one."""

    measured: int
    others: int

    def __str__(self) -> str:
        if self.measured == self.others:
            return f"everything on core {self.measured}, the only one"
        return f"the server alone on core {self.measured}, load generator and Redis on core {self.others}"


def find_cores() -> Cores:
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(measured=allowed[0], others=allowed[-1])


def pinned(core: int, argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` on one core only."""
    return ["taskset", "--cpu-list", str(core), *argv]


@contextmanager
def running(
    argv: Sequence[str], *, core: int, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The process while the block runs; its stdout is a pipe, its stderr goes to the file `log`."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            pinned(core, argv),
            cwd=REPOSITORY,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            preexec_fn=_die_with_parent,  # a benchmark that is killed leaves nothing behind
        )
        try:
            yield process
        finally:
            stop(process)


def stop(process: subprocess.Popen[str]) -> None:
    """Ask it to end, then end it."""
    process.terminate()
    try:
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str], log: Path) -> str:
    """The first line that it prints. Raises BenchmarkFailed, with the end of its log, when none comes."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    line = process.stdout.readline() if ready else ""
    if not line:
        raise BenchmarkFailed(f"{process.args!r} did not start: {log.read_text()[-2000:]}")
    return line.strip()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
