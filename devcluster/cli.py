"""The commands: up, down, clean, status, env, unit-image."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from devcluster import cluster, images, paths, programs, state, teardown, unit_image, up
from devcluster.errors import CannotContinue, DevclusterError
from devcluster.paths import CLUSTER


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0; 1 for a failure; 2 where the user must change something; 130 when interrupted.

    unit-image has pytest's.
    """
    parser = argparse.ArgumentParser(prog="python3 -m devcluster", description=__doc__)
    parser.add_argument("command", choices=sorted([*COMMANDS, UNIT_IMAGE]))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="unit-image: what pytest is given")
    chosen = parser.parse_args(arguments)
    if chosen.arguments and chosen.command != UNIT_IMAGE:
        parser.error(f"{chosen.command} takes no arguments")
    if chosen.command == UNIT_IMAGE:
        return guarded(lambda: unit_image.main(chosen.arguments), after="`make unit-image` begins anew.")
    after = f"Logs are in {CLUSTER.logs}. `make up` again repairs; `make down` ends all."
    return guarded(COMMANDS[chosen.command], after)


def guarded(act: Callable[[], int | None], after: str) -> int:
    """The exit status of the command; a failure is said in words, with what can be done `after` it."""
    try:
        return act() or 0
    except CannotContinue as error:
        print(f"\nCannot go on: {error}", file=sys.stderr)
        return 2
    except DevclusterError as error:
        print(f"\n{error}\n\n{after}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nInterrupted. {after}", file=sys.stderr)
        return 130


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


UNIT_IMAGE = "unit-image"
COMMANDS: dict[str, Callable[[], None]] = {
    "up": run_up,
    "down": run_down,
    "clean": run_clean,
    "status": run_status,
    "env": run_env,
}
