"""Sessions: `python -m benchmarks.sessions` measures ours, its peers and the floor in one run.

Prints a table and, as the last line, everything as JSON. Read ratios, not single figures: what is compared
was measured side by side, at the same time on the same machine.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.load import Load
from benchmarks.processes import BenchmarkFailed, find_cores
from benchmarks.sessions import report
from benchmarks.sessions.cases import OURS, Case, cases
from benchmarks.sessions.run import Bench, bench, count_round_trips, run_rounds


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sessions", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each case in each round")
    parser.add_argument("--warmup", type=float, default=0.3, help="seconds before that")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--without-peers", action="store_true", help="ours alone: nothing is installed")
    parser.add_argument("--only", default="", help="only sessions whose name begins so, for tuning")
    parser.add_argument("--check", action="store_true", help="exit status 1 where a target is missed")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    # A benchmark that is asked to end does end its servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = [case for case in cases(not args.without_peers) if case.name.startswith(args.only)]
    try:
        with (
            tempfile.TemporaryDirectory(prefix="chatstream-bench-") as folder,
            bench(find_cores(), Path(folder), {case.server for case in wanted}) as it,
        ):
            outcome = run(it, wanted, args)
    except BenchmarkFailed as error:
        print(f"the benchmark failed: {error}", file=sys.stderr)
        return 2
    print(report.text(outcome), json.dumps(report.as_json(outcome)), sep="\n\n")
    return int(args.check and not all(one.is_met for one in report.targets(outcome.results)))


def run(it: Bench, wanted: list[Case], args: argparse.Namespace) -> report.Outcome:
    """Measure, having said what and upon what."""
    environment = describe(it, args)
    print(*(f"{name}: {value}" for name, value in environment.items()), sep="\n", end="\n\n", flush=True)
    load = Load(path="", clients=args.clients, warmup=args.warmup, measure=args.seconds)
    results = run_rounds(it, wanted, load, args.rounds)
    ours = [case for case in wanted if case.name == OURS and case.messages]
    return report.Outcome(environment, results, count_round_trips(it, ours[0]) if ours else {})


def describe(it: Bench, args: argparse.Namespace) -> dict[str, Any]:
    """Of all servers together: what is in both environments has the same version in both."""
    versions = {"redis-server": it.redis.version}
    for server in it.servers.values():
        for name, version in server.versions.items():
            if versions.setdefault(name, version) != version:
                raise BenchmarkFailed(
                    f"{name} is {version} in one environment, {versions[name]} in the other"
                )
    shown = {name: getattr(args, name) for name in ("rounds", "seconds", "warmup", "clients")}
    return {"machine": f"{it.cores} (shared with others)", "versions": versions, "options": shown}


if __name__ == "__main__":
    sys.exit(main())
