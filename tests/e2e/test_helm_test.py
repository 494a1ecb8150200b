"""The chart's own test, run by helm in a pod of the cluster."""

from __future__ import annotations

from pathlib import Path

from devcluster import programs
from harness.kube import Kube
from helm import Helm

NAMESPACE = "chatstream-system"


async def test_the_installed_release_passes_its_test(kube: Kube, tmp_path: Path) -> None:
    helm = Helm(programs.ensure("helm"), tmp_path, kube.kubeconfig)
    out = helm.must("test", "chatstream", "--namespace", NAMESPACE, "--logs", "--timeout", "45s")
    assert "ok: the API server serves ChatStreams: " in out
    assert "ok: the operator is ready" in out
    # A test that passed leaves no pod behind.
    assert await kube.list("pods", NAMESPACE, "app.kubernetes.io/component=test") == []
