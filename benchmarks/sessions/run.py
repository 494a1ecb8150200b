"""Runs every case in every round, in turn, against servers that all run at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import peer_environment
from benchmarks.load import Load, Measured, build, measure
from benchmarks.processes import BenchmarkFailed, Cores, first_line, running
from benchmarks.redis_server import RedisServer, redis_server, round_trips
from benchmarks.sessions.cases import SERVERS, Case, is_right

_COUNTED_TURNS = 50


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs. `versions`: of Python and its libraries."""

    address: str
    pid: int
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that runs while it is measured."""

    binary: Path
    cores: Cores
    redis: RedisServer
    servers: dict[str, Server]


@contextmanager
def bench(cores: Cores, folder: Path, names: set[str]) -> Iterator[Bench]:
    """Redis and the servers of these names, while the block runs."""
    binary = build()
    with ExitStack() as stack:
        redis = stack.enter_context(redis_server(cores.others, folder))
        servers = {
            name: stack.enter_context(_server(name, cores, folder, redis.url)) for name in sorted(names)
        }
        yield Bench(binary, cores, redis, servers)


def run_case(it: Bench, case: Case, load: Load) -> Measured:
    """One case once, on an empty Redis. Raises BenchmarkFailed where a session was lost."""
    it.redis.admin.flushall()
    server = it.servers[case.server]
    asked = replace(load, path=case.path, setup=case.setup)
    measured = measure(
        it.binary, server.address, asked, core=it.cores.others, server_pid=server.pid, redis_pid=it.redis.pid
    )
    for requests, body in measured.sessions:
        if not is_right(case, requests, body):
            raise BenchmarkFailed(
                f"{case.name}, {case.messages} messages: after {requests} requests it said {body}"
            )
    return measured


def run_rounds(it: Bench, cases: list[Case], load: Load, rounds: int) -> dict[Case, list[Measured]]:
    """Every case in every round; every other round backwards, so that none always follows the same one."""
    results: dict[Case, list[Measured]] = {case: [] for case in cases}
    for number in range(rounds):
        for case in cases if number % 2 == 0 else reversed(cases):
            results[case].append(run_case(it, case, load))
        print(f"round {number + 1} of {rounds} is done", file=sys.stderr, flush=True)
    return results


def count_round_trips(it: Bench, case: Case) -> dict[str, float]:
    """Round trips to Redis of one turn of ours: in its load, in its save, and in all of the request."""
    counted = replace(case, path="/counted", answers=lambda _: {})
    load = Load(path=counted.path, clients=1, warmup=0, measure=0.001)
    run_case(it, counted, load)  # connections are made, scripts are known
    seen = [json.loads(run_case(it, counted, load).sessions[0][1]) for _ in range(3)]
    return {**_steady(seen), "turn": _whole_turn(it, case)}


def _steady(seen: list[dict[str, int]]) -> dict[str, float]:
    # Reading the counter is a round trip too.
    return {name: min(one[name] for one in seen) - 1 for name in ("load", "save")}


def _whole_turn(it: Bench, case: Case) -> float:
    """Of a turn with all that its middleware does, on the average of many turns of one client."""
    before = round_trips(it.redis.admin)
    [(requests, _)] = run_case(it, case, Load(path=case.path, clients=1, warmup=0, measure=0.3)).sessions
    used = round_trips(it.redis.admin) - before
    return round((used - 2) / (requests + 1), 2)  # flushall, and the second reading of the counter


@contextmanager
def _server(name: str, cores: Cores, folder: Path, redis_url: str) -> Iterator[Server]:
    spec = SERVERS[name]
    python = str(peer_environment.ensure()) if spec.peer else sys.executable
    argv = [python, "-m", "benchmarks.serve", spec.app, *(["--factory"] if spec.factory else [])]
    env = {"BENCH_REDIS_URL": redis_url, "PYTHONPATH": "server", "PYTHONDONTWRITEBYTECODE": "1"}
    log = folder / f"{name}.log"
    with running(argv, core=cores.measured, log=log, env=env) as process:
        said: dict[str, Any] = json.loads(first_line(process, log))
        yield Server(f"127.0.0.1:{said['port']}", process.pid, said["versions"])
