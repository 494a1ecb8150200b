"""Running a program to its end."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from devcluster.errors import CommandFailed

TAIL_LINES = 40


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a long text."""
    return "\n".join(text.splitlines()[-lines:])


Argv = Sequence[str | Path]


def run(
    argv: Argv,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float = 600,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run `argv`, both outputs captured together; CommandFailed on an error or after `timeout` seconds.

    `env` is laid over this process's environment.
    """
    command = shlex.join(str(part) for part in argv)
    try:
        done = subprocess.run(
            [str(part) for part in argv],
            env={**os.environ, **(env or {})},
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        output = (
            error.stdout.decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout or ""
        )
        raise CommandFailed(command, 124, f"{tail(output)}\nno end after {timeout:.0f} s") from error
    except FileNotFoundError as error:
        raise CommandFailed(command, 127, f"no such program: {argv[0]}") from error
    if check and done.returncode != 0:
        raise CommandFailed(command, done.returncode, tail(done.stdout))
    return done


def output(argv: Argv, *, timeout: float = 60) -> str:
    """The stdout of a short command, stripped; CommandFailed if it fails."""
    return run(argv, timeout=timeout).stdout.strip()
