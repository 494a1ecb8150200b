"""What ours is compared with, in a Python environment of its own: made by uv when it is needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.processes import REPOSITORY, BenchmarkFailed
from devcluster import paths

FOLDER = REPOSITORY / "benchmarks" / "peers"
_INSTALL_SECONDS = 600.0


def ensure() -> Path:
    """The peers' Python; installed anew when the requirements have changed."""
    requirements, venv = FOLDER / "requirements.txt", FOLDER / ".venv"
    installed, python = venv / ".requirements", venv / "bin" / "python"
    wanted = f"{sys.version}\n{requirements.read_text()}"
    if not installed.is_file() or installed.read_text() != wanted:
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(venv))
        _uv("pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(requirements))
        installed.write_text(wanted)
    return python


def _uv(*arguments: str) -> None:
    own = paths.cache() / "uv-venv" / "bin" / "uv"
    uv = str(own) if own.is_file() else shutil.which("uv")
    if uv is None:
        raise BenchmarkFailed("uv is needed: run `make venv` once")
    done = subprocess.run([uv, *arguments], capture_output=True, text=True, timeout=_INSTALL_SECONDS)
    if done.returncode:
        raise BenchmarkFailed(f"the peers cannot be installed: {done.stderr[-2000:]}")
