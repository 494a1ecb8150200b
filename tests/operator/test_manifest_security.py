"""Pod security `restricted`, for every pod and container that the operator makes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.golden_files import RESOURCES, build_golden

PODS: list[tuple[str, dict[str, Any]]] = [
    (f"{name} {manifest['kind']}", manifest["spec"]["template"]["spec"])
    for name, resource in RESOURCES.items()
    for manifest in build_golden(resource)
    if manifest["kind"] in {"Deployment", "StatefulSet"}
]
CONTAINERS = [
    (f"{name} {container['name']}", container)
    for name, pod in PODS
    for container in (*pod.get("initContainers", ()), *pod["containers"])
]


@pytest.mark.parametrize(("name", "pod"), PODS)
def test_pods_are_restricted(name: str, pod: dict[str, Any]) -> None:
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["fsGroup"] == (999 if "StatefulSet" in name else 10001)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]


@pytest.mark.parametrize(("name", "container"), CONTAINERS)
def test_containers_are_restricted(name: str, container: dict[str, Any]) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }, name


@pytest.mark.parametrize(("name", "container"), CONTAINERS)
def test_containers_can_write_where_programs_do(name: str, container: dict[str, Any]) -> None:
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert "/tmp" in writable, name
    assert container.get("workingDir", "/tmp") in writable


@pytest.mark.parametrize(("name", "container"), CONTAINERS)
def test_containers_ask_for_little(name: str, container: dict[str, Any]) -> None:
    requests = container["resources"]["requests"]
    assert (requests["cpu"], requests["memory"]) == ("50m", "128Mi"), name


def test_no_secret_is_in_a_config_map_or_a_pod() -> None:
    for resource in RESOURCES.values():
        others = [manifest for manifest in build_golden(resource) if manifest["kind"] != "Secret"]
        assert "random" not in str(others)
