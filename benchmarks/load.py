"""The load generator (loadgen/, in Go): built at need into the cache, run once for each measurement."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import REPOSITORY, BenchmarkFailed, pinned
from devcluster import golang, paths

SOURCE = REPOSITORY / "benchmarks" / "loadgen"
_BUILD_SECONDS = 300.0
_SETUP_SECONDS = 60.0
_TICK = 0.01  # seconds of processor time, which is counted in these: nothing takes none


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked for: `clients` connections in a closed loop. Times in seconds."""

    path: str
    setup: str = ""
    clients: int = 16
    warmup: float = 0.5
    measure: float = 2.0


@dataclass(frozen=True, slots=True)
class Measured:
    """`cpu_us` is the server's processor time for one request, whoever else was on its core."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    redis_cpu_us: float
    sessions: tuple[tuple[int, str], ...]
    """Of each client: how many requests it sent, warm-up included, and the body of its last answer."""


def build() -> Path:
    """The load generator's binary; built when the cache has none of this source."""
    sources = sorted(path for path in SOURCE.iterdir() if path.suffix in (".go", ".mod"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    binary = paths.cache() / "bin" / f"loadgen-{digest}"
    if not binary.is_file():
        binary.parent.mkdir(parents=True, exist_ok=True)
        argv = [str(golang.ensure()), "build", "-trimpath", "-o", str(binary), "."]
        done = subprocess.run(argv, cwd=SOURCE, capture_output=True, text=True, timeout=_BUILD_SECONDS)
        if done.returncode:
            raise BenchmarkFailed(f"the load generator does not build: {done.stderr[-2000:]}")
    return binary


def measure(
    binary: Path, address: str, load: Load, *, core: int, server_pid: int, redis_pid: int
) -> Measured:
    """One run against one server. Raises BenchmarkFailed where an answer was none or not a 200."""
    limit = load.warmup + load.measure + _SETUP_SECONDS
    options = {
        "address": address,
        "path": load.path,
        "setup": load.setup,
        "clients": load.clients,
        "warmup": f"{load.warmup}s",
        "measure": f"{load.measure}s",
        "timeout": f"{limit}s",
    }
    argv = [str(binary), *(f"-{name}={value}" for name, value in options.items())]
    argv += [f"-pid={server_pid}", f"-pid={redis_pid}"]
    done = subprocess.run(pinned(core, argv), capture_output=True, text=True, timeout=limit + 10)
    if done.returncode:
        raise BenchmarkFailed(f"{load.path}: {done.stderr.strip()[-2000:]}")
    return read(json.loads(done.stdout), server_pid, redis_pid)


def read(raw: dict[str, Any], server_pid: int, redis_pid: int) -> Measured:
    """The load generator's JSON, as figures for one request."""
    requests: int = raw["requests"]
    if requests == 0:
        raise BenchmarkFailed("no request ended while it was measured")
    cpu = raw["cpu_seconds"]
    return Measured(
        requests=requests,
        per_second=raw["per_second"],
        p50_ms=raw["p50_ms"],
        p99_ms=raw["p99_ms"],
        cpu_us=max(_TICK, cpu[str(server_pid)]) / requests * 1e6,
        redis_cpu_us=cpu[str(redis_pid)] / requests * 1e6,
        sessions=tuple((one["requests"], one["last"]) for one in raw["sessions"]),
    )
