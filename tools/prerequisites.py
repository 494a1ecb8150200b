"""Everything the tests need besides the Python environment: `python3 -m tools.prerequisites unit|cluster`.

Debian packages (installed as root, else named), and programs built from the pinned modules. A test that built
them itself would run into its time limit. Standard library only.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass

from devcluster import packages, programs
from devcluster.errors import DevclusterError


@dataclass(frozen=True, slots=True)
class Needs:
    """What one group of tests needs."""

    packages: tuple[str, ...]
    programs: tuple[str, ...]


UNIT = Needs(("openssl", "redis-server"), ("etcd", "kube-apiserver", "kubectl", "helm"))
CLUSTER = Needs((*UNIT.packages, "chromium"), (*UNIT.programs, "prometheus"))
GROUPS = {"unit": UNIT, "cluster": CLUSTER}


def find_missing_packages(names: tuple[str, ...]) -> list[str]:
    return packages.missing(packages.installed(), names)


def provide_packages(names: tuple[str, ...], is_root: bool) -> None:
    """Install what is missing; who is not root is told what to install."""
    absent = find_missing_packages(names)
    if absent and not is_root:
        raise DevclusterError(f"Please install these Debian packages, as root: {' '.join(absent)}")
    if absent:
        print(f"Installing {', '.join(absent)}", flush=True)
        packages.ensure(names)


def provide_programs(names: Iterable[str]) -> None:
    """Build what the cache lacks, saying how long it took."""
    known = {**programs.PROGRAMS, **programs.TEST_PROGRAMS}
    for name in names:
        if known[name].path.is_file():
            continue
        print(f"Building {name} (about {known[name].cold_seconds} s from nothing) ...", end=" ", flush=True)
        began = time.monotonic()
        programs.ensure(name)
        print(f"{time.monotonic() - began:.0f} s", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tools.prerequisites", description=__doc__)
    parser.add_argument("group", choices=sorted(GROUPS))
    needs = GROUPS[parser.parse_args(argv).group]
    try:
        provide_packages(needs.packages, os.geteuid() == 0)
        provide_programs(needs.programs)
    except DevclusterError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
