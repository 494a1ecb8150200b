"""The two Python processes that run beside the cluster: the storage provisioner and the GPU watcher."""

from __future__ import annotations

import sys

from devcluster import paths, processes
from devcluster.kube import Kube
from devcluster.paths import Layout
from devcluster.processes import Daemon
from devcluster.storage import build_class


def build_helper(layout: Layout, name: str, *arguments: str) -> Daemon:
    """`python3 -m devcluster.NAME KUBECONFIG ...`; restarted when its source changes."""
    sources = tuple(paths.FOLDER / f"{module}.py" for module in (name, "kube"))
    argv = (sys.executable, "-u", "-m", f"devcluster.{name}", str(layout.kubeconfig), *arguments)
    environment = {"PYTHONPATH": str(paths.REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    return Daemon(name, argv, lambda: True, (*sources, layout.kubeconfig), environment)


def ensure_all(layout: Layout, kube: Kube) -> list[str]:
    """The StorageClass and both helpers; the names of those that had to be started."""
    layout.volumes.mkdir(parents=True, exist_ok=True, mode=0o755)
    kube.apply("/apis/storage.k8s.io/v1/storageclasses/local", build_class())
    daemons = (build_helper(layout, "storage", str(layout.volumes)), build_helper(layout, "gpus"))
    return [daemon.name for daemon in daemons if processes.ensure(layout, daemon) != "running"]
