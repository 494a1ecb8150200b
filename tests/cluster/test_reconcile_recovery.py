"""The real operator after trouble: the API server killed, itself stopped and started."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devcluster import processes
from devcluster.control_plane import Throwaway
from devcluster.paths import Layout
from tests.cluster.kubectl import Kubectl, chatstream, eventually
from tests.cluster.operator_process import OperatorProcess

API = "kube-apiserver"


def find_api_server(plane: Throwaway) -> tuple[Layout, processes.Process]:
    """Of the newest attempt: ports may have been taken at the first."""
    for run in sorted(plane.folder.glob("*/run"), reverse=True):
        layout = Layout(run.parent / "state", run)
        if (process := processes.find(layout, API)) is not None:
            return layout, process
    raise AssertionError("the API server does not run")


@contextmanager
def api_server_away(plane: Throwaway, kubectl: Kubectl) -> Iterator[None]:
    """Killed for the time of the block, then started again as it was; it ends with the control plane."""
    layout, process = find_api_server(plane)
    argv = Path(f"/proc/{process.pid}/cmdline").read_text().rstrip("\0").split("\0")
    os.kill(process.pid, signal.SIGKILL)
    eventually(lambda: not process.alive(), "the API server is gone")
    yield

    def answers() -> bool:
        return kubectl.run("get", "--raw", "/readyz").status == 0

    daemon = processes.Daemon(API, tuple(argv), healthy=answers, dies_with_parent=True)
    processes.wait_healthy(layout, daemon, processes.start(layout, daemon))


def replicas(kubectl: Kubectl, namespace: str) -> int:
    found = kubectl.find("deployment", "demo", "-n", namespace)
    return -1 if found is None else int(found["spec"]["replicas"])


def test_it_goes_on_after_the_api_server_was_killed(
    plane: Throwaway, kubectl: Kubectl, namespace: str, operator: OperatorProcess
) -> None:
    kubectl.apply(chatstream("demo", namespace))
    eventually(lambda: replicas(kubectl, namespace) == 1, "the Deployment")
    with api_server_away(plane, kubectl):
        eventually(lambda: "watch_failed" in operator.log(), "the operator has seen it")
        assert operator.page("/healthz") == 200
    kubectl.must("scale", "chst", "demo", "-n", namespace, "--replicas=2")
    eventually(lambda: replicas(kubectl, namespace) == 2, "it reconciles again")
    kubectl.must("delete", "service", "demo", "-n", namespace, "--wait=false")
    eventually(lambda: kubectl.find("service", "demo", "-n", namespace), "its watches are back")


def test_it_stops_in_time_and_a_new_one_finds_all_as_it_should_be(
    kubectl: Kubectl, namespace: str, operator: OperatorProcess
) -> None:
    kubectl.apply(chatstream("demo", namespace))
    eventually(lambda: kubectl.find("pdb", "demo", "-n", namespace), "the last child")
    eventually(lambda: "status" in kubectl.get("chst", "demo", "-n", namespace), "a status")
    assert operator.stop() == 0
    kubectl.must("delete", "service", "demo", "-n", namespace)
    before = operator.writes()
    operator.start()
    eventually(lambda: kubectl.find("service", "demo", "-n", namespace), "what was deleted meanwhile is back")
    eventually(lambda: kubectl.get("chst", "demo", "-n", namespace)["status"]["conditions"], "a status")
    # Nothing else was written: an operator that starts rolls nothing.
    assert operator.writes() == before + 1


def test_it_adds_nothing_to_the_resource_but_its_status(
    kubectl: Kubectl, namespace: str, operator: OperatorProcess
) -> None:
    kubectl.must("create", "-f", "-", stdin=json.dumps(chatstream("demo", namespace)))
    eventually(lambda: "status" in kubectl.get("chst", "demo", "-n", namespace), "a status")
    meta = kubectl.get("chst", "demo", "-n", namespace)["metadata"]
    assert "finalizers" not in meta
    assert "annotations" not in meta
    assert "unhandled" not in operator.log().lower()
