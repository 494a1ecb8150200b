"""What the state folder was made for, and the lock that lets one `up` or `down` work at a time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from devcluster import node
from devcluster.errors import CannotContinue
from devcluster.paths import Layout
from devcluster.plane import Plane

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """Written once, when the state is made."""

    node_address: str
    sysctls_before: dict[str, str]
    format: int = FORMAT


def read(layout: Layout) -> Facts | None:
    """None when there is no state, or one of another format."""
    try:
        facts = Facts(**json.loads(layout.facts.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return facts if facts.format == FORMAT else None


def write(layout: Layout, facts: Facts) -> None:
    layout.facts.parent.mkdir(parents=True, exist_ok=True)
    part = layout.facts.with_suffix(".part")
    part.write_text(json.dumps(asdict(facts)))
    part.replace(layout.facts)


def complete(plane: Plane) -> bool:
    """Whether every identity is there and etcd has its data: else only a new state helps."""
    leaves = (plane.serving, plane.kubelet_client, plane.front_client, node.kubelet_serving(plane.layout))
    pairs = (plane.authority, plane.front_authority, *leaves)
    configs = [plane.config_of(name) for name in ("kube-controller-manager", "kube-scheduler", *node.USERS)]
    files = (plane.signing_key, plane.tokens, plane.layout.kubeconfig, *configs)
    data = plane.layout.state / "etcd" / "member"
    return all(pair.exists() for pair in pairs) and all(map(Path.is_file, files)) and data.is_dir()


@contextlib.contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Hold the lock; CannotContinue when another `up` or `down` works on this cluster."""
    path = layout.run.with_name(f"{layout.run.name}.lock")
    with _open_locked(path) as file:
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            # Removed while held: whoever waits for it sees that it is another file by then, and begins anew.
            path.unlink(missing_ok=True)


def _open_locked(path: Path) -> TextIO:
    while True:
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise CannotContinue(
                f"Another run of this tool is at work on the cluster (pid {holder}): wait for it, or end it."
            ) from error
        if path.exists() and os.fstat(file.fileno()).st_ino == path.stat().st_ino:
            return file
        file.close()
