"""The throw-away control plane; it builds programs when the cache lacks them, so it is skipped then."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from devcluster import processes, programs
from devcluster.control_plane import throwaway

NEEDED = ("etcd", "kube-apiserver", "kubectl")
pytestmark = pytest.mark.skipif(
    not all(programs.built(name) for name in NEEDED), reason="the cluster's programs are not built: make up"
)


def kubectl(kubeconfig: Path, *arguments: str) -> str:
    argv = [str(programs.ensure("kubectl")), "--kubeconfig", str(kubeconfig), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout


def test_it_answers_and_leaves_nothing() -> None:
    with throwaway() as plane:
        assert "configmap/x created" in kubectl(plane.kubeconfig, "create", "configmap", "x")
        assert (
            kubectl(plane.kubeconfig, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
            == "admin"
        )
        folder = plane.folder
    assert not folder.exists()
    assert list(processes.marked(str(folder))) == []
