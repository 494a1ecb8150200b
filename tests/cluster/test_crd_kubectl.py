"""What a user of kubectl sees: explain, columns, scale, the short name, the status subresource."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import pytest

from devcluster.control_plane import throwaway
from tests.cluster.conftest import administrator
from tests.cluster.kubectl import Kubectl, chatstream
from tests.operator.crd_schema import root_schema, walk

FIELDS = {path.replace("[]", ""): node for path, node in walk(root_schema()) if not path.endswith("[]")}
SECTIONS = sorted({path.rpartition(".")[0] for path in FIELDS if "." in path})
STATUS = {
    "observedGeneration": 1,
    "replicas": 2,
    "readyReplicas": 2,
    "selector": "a=b",
    "url": "http://one.team.svc",
    "model": "acme/x",
    "gpu": 1,
    "image": "engine:1",
    "conditions": [
        {
            "type": "Ready",
            "status": "False",
            "reason": "Loading",
            "message": "m",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ],
}


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    """An API server without the operator, which would write the status too."""
    with throwaway() as plane:
        yield administrator(plane)


@pytest.fixture
def namespace(kubectl: Kubectl) -> str:
    """One for each test; all of them go with the API server."""
    name = f"team-{secrets.token_hex(4)}"
    kubectl.must("create", "namespace", name)
    return name


def write_status(kubectl: Kubectl, namespace: str) -> None:
    kubectl.patch("chatstream", "one", namespace, {"status": STATUS}, "--subresource=status")


@pytest.mark.parametrize("section", SECTIONS)
def test_explain_describes_every_field(kubectl: Kubectl, section: str) -> None:
    """Words are compared, as kubectl breaks the lines."""
    said = " ".join(kubectl.must("explain", f"chatstream.{section}").split())
    for path, node in FIELDS.items():
        if path.rpartition(".")[0] == section:
            assert " ".join(node["description"].split()) in said, path


def test_the_columns_show_what_is_asked_first(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(chatstream("one", namespace))
    write_status(kubectl, namespace)
    plain = kubectl.must("get", "chst", "-n", namespace).splitlines()
    assert plain[0].split() == ["NAME", "READY", "REASON", "MODEL", "REPLICAS", "URL", "AGE"]
    assert plain[1].split()[:-1] == ["one", "False", "Loading", "acme/x", "2", "http://one.team.svc"]
    wide = kubectl.must("get", "chst", "-n", namespace, "-o", "wide").splitlines()
    assert set(wide[0].split()) - set(plain[0].split()) == {"ENGINE", "GPU", "IMAGE"}
    assert {"Demo", "1", "engine:1"} <= set(wide[1].split())


def test_scale_changes_the_replicas(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(chatstream("one", namespace))
    write_status(kubectl, namespace)
    kubectl.must("scale", "chst", "one", "-n", namespace, "--replicas=3")
    path = f"/apis/chatstream.dev/v1alpha1/namespaces/{namespace}/chatstreams/one/scale"
    scale = json.loads(kubectl.must("get", "--raw", path))
    assert (scale["spec"]["replicas"], scale["status"]["replicas"]) == (3, 2)
    assert scale["status"]["selector"] == "a=b"


def test_scale_obeys_the_rules(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(chatstream("one", namespace, sessions={"store": "Memory"}))
    result = kubectl.run("scale", "chst", "one", "-n", namespace, "--replicas=2")
    assert result.status != 0
    assert "spec.sessions.store to Redis" in result.err


def test_the_status_is_a_subresource_of_its_own(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply({**chatstream("one", namespace), "status": STATUS})
    assert "status" not in kubectl.get("chatstream", "one", "-n", namespace)
    write_status(kubectl, namespace)
    kubectl.apply(chatstream("one", namespace, replicas=2))
    assert kubectl.get("chatstream", "one", "-n", namespace)["status"] == STATUS


def test_wait_understands_the_conditions(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(chatstream("one", namespace))
    write_status(kubectl, namespace)
    argv = ("wait", "chst/one", "-n", namespace, "--timeout=10s")
    assert "condition met" in kubectl.must(*argv, "--for=condition=Ready=False")
