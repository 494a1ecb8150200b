"""The commands: up, down, clean, status, env."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from devcluster import cluster, images, paths, programs, state, teardown, up
from devcluster.errors import CannotContinue, DevclusterError
from devcluster.paths import CLUSTER


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0; 1 for a failure; 2 where the user must change something; 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python3 -m devcluster", description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    chosen = parser.parse_args(arguments).command
    try:
        COMMANDS[chosen]()
    except CannotContinue as error:
        print(f"\nCannot go on: {error}", file=sys.stderr)
        return 2
    except DevclusterError as error:
        print(
            f"\n{error}\n\nLogs are in {CLUSTER.logs}. `make up` again repairs; `make down` ends all.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. `make up` goes on where it stopped; `make down` ends all.", file=sys.stderr)
        return 130
    return 0


def run_up() -> None:
    port = os.environ.get("PORT") or "8443"
    if not port.isdigit():
        raise CannotContinue(f"PORT={port} is no number.")
    up.up(int(port))


def run_down() -> None:
    _need_root()
    with state.locked(CLUSTER):
        teardown.down(CLUSTER)
    print("Nothing of the local cluster is left on this machine; caches are kept (`make clean`).")


def run_clean() -> None:
    run_down()
    images.remove_storage()
    programs.remove_cache(paths.cache())
    print(f"Deleted {paths.cache()}.")


def run_status() -> None:
    for name, words in cluster.status(CLUSTER):
        print(f"{name:<26}{words}")


def run_env() -> None:
    print(f"export KUBECONFIG={CLUSTER.kubeconfig}")
    print(f'export PATH={CLUSTER.bin}:"$PATH"')


def _need_root() -> None:
    if os.geteuid() != 0:
        raise CannotContinue("The local cluster belongs to root: run this as root.")


COMMANDS: dict[str, Callable[[], None]] = {
    "up": run_up,
    "down": run_down,
    "clean": run_clean,
    "status": run_status,
    "env": run_env,
}
