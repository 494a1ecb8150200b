"""A throw-away control plane with our CRD, and the real operator on it, once for all tests of this folder."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devcluster import programs
from devcluster.control_plane import Throwaway, throwaway
from helm import Helm
from tests.cluster.kubectl import Kubectl, eventually
from tests.cluster.operator_process import OperatorProcess, grant_rights

ROOT = Path(__file__).resolve().parents[2]
CRD_NAME = "chatstreams.chatstream.dev"


@pytest.fixture(scope="session")
def plane() -> Iterator[Throwaway]:
    with throwaway(controller_manager=True) as one:
        yield one


def administrator(plane: Throwaway) -> Kubectl:
    """On an API server that knows ChatStreams from here."""
    admin = Kubectl(programs.ensure("kubectl"), plane.kubeconfig)
    admin.must("apply", "--server-side", "-f", str(ROOT / "crds"))
    admin.must("wait", "--for=condition=Established", f"crd/{CRD_NAME}", "--timeout=20s")
    # Its schema is published some seconds later.
    eventually(lambda: admin.run("explain", "chatstream.spec").status == 0, "kubectl can explain it")
    return admin


@pytest.fixture(scope="session")
def kubectl(plane: Throwaway) -> Kubectl:
    return administrator(plane)


@pytest.fixture(scope="session")
def namespaces(kubectl: Kubectl) -> Callable[[], str]:
    """Makes a namespace with pod security `restricted` enforced, and gives its name."""
    numbers = itertools.count(1)

    def make() -> str:
        name = f"team-{next(numbers)}"
        kubectl.must("create", "namespace", name)
        kubectl.must("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        return name

    return make


@pytest.fixture
def namespace(kubectl: Kubectl, namespaces: Callable[[], str]) -> Iterator[str]:
    """One for each test. Its ChatStreams go with the test, so that the operator has no more of them."""
    name = namespaces()
    yield name
    kubectl.must("delete", "chatstreams", "--all", "-n", name, "--wait=false")


@pytest.fixture(scope="session")
def operator(
    plane: Throwaway, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    folder = tmp_path_factory.mktemp("operator")
    helm = Helm(programs.ensure("helm"), folder)
    account = grant_rights(kubectl, helm, plane, folder)
    process = OperatorProcess(account, folder, (free_port(), free_port()))
    process.start()
    yield process
    assert process.stop() == 0, process.log()[-4000:]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
