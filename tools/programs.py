"""Build what the unit tests need of the cluster's programs: `python3 -m tools.programs`; standard library only.

A test that built them itself would run into its time limit.
"""

from __future__ import annotations

import sys
import time

from devcluster import programs
from devcluster.errors import DevclusterError

NEEDED = ("etcd", "kube-apiserver", "kubectl", "helm")


def main() -> int:
    try:
        for name in filter(lambda name: not programs.built(name), NEEDED):
            expected = programs.PROGRAMS[name].cold_seconds
            print(f"Building {name} (about {expected} s when nothing is cached) ...", end=" ", flush=True)
            began = time.monotonic()
            programs.ensure(name)
            print(f"{time.monotonic() - began:.0f} s", flush=True)
    except DevclusterError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
