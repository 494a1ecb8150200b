"""Least rights: the operator's roles name each verb, and every pod of the chart is "restricted"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chatstream_operator.kube.kinds import CHILDREN
from helm import ALL_OPTIONS, Helm, Manifest, pick

READ = {"get", "list", "watch"}
WRITTEN = {"create", "patch", "delete"}
# Whoever can do these can do everything, or can become someone who can.
DANGEROUS_VERBS = {"*", "escalate", "bind", "impersonate", "deletecollection"}
FORBIDDEN_RESOURCES = {
    "*",
    "pods/exec",
    "pods/attach",
    "serviceaccounts/token",
    "clusterroles",
    "roles",
    "nodes/proxy",
}


@pytest.fixture(scope="module")
def manifests(helm: Helm) -> Sequence[Manifest]:
    return helm.template(values=[ALL_OPTIONS])


@pytest.fixture(scope="module")
def rules(manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    return list(pick(manifests, "ClusterRole", "chat-operator")["rules"])


def pod_specs(manifests: Sequence[Manifest]) -> dict[str, dict[str, Any]]:
    return {
        "Deployment": pick(manifests, "Deployment")["spec"]["template"]["spec"],
        "Pod": pick(manifests, "Pod")["spec"],
    }


def verbs_on(rules: list[dict[str, Any]], resource: str) -> set[str]:
    return {verb for rule in rules if resource in rule["resources"] for verb in rule["verbs"]}


def test_no_wildcards_and_no_way_up(rules: list[dict[str, Any]]) -> None:
    for rule in rules:
        assert not DANGEROUS_VERBS & set(rule["verbs"]), rule
        assert not FORBIDDEN_RESOURCES & set(rule["resources"]), rule
        assert "*" not in rule["apiGroups"], rule


def test_the_operator_only_reads_chatstreams_and_patches_their_status(rules: list[dict[str, Any]]) -> None:
    assert verbs_on(rules, "chatstreams") == READ
    assert verbs_on(rules, "chatstreams/status") == {"patch"}


@pytest.mark.parametrize(
    "resource", ["secrets", "configmaps", "services", "serviceaccounts", "networkpolicies"]
)
def test_children_are_written_by_server_side_apply_only(rules: list[dict[str, Any]], resource: str) -> None:
    assert verbs_on(rules, resource) == READ | WRITTEN


def test_whatever_the_operator_applies_it_may_write(rules: list[dict[str, Any]]) -> None:
    for kind in CHILDREN:
        group = kind.api_version.rpartition("/")[0]
        verbs = [
            set(rule["verbs"])
            for rule in rules
            if group in rule["apiGroups"] and kind.plural in rule["resources"]
        ]
        assert verbs == [READ | WRITTEN], kind.kind


def test_pods_are_read_only_and_events_are_only_made(rules: list[dict[str, Any]]) -> None:
    assert verbs_on(rules, "pods") == {"list", "watch"}
    assert verbs_on(rules, "events") == {"create"}
    for resource in ("pods/log", "nodes"):
        assert verbs_on(rules, resource) == set()


def test_the_roles_are_bound_to_the_operators_account(manifests: Sequence[Manifest]) -> None:
    binding = pick(manifests, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == "chat-operator"
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "chat-operator-account", "namespace": "chatstream-system"}
    ]


def test_viewers_read_and_editors_write_chatstreams_alone(manifests: Sequence[Manifest]) -> None:
    view, edit = pick(manifests, "ClusterRole", "-view"), pick(manifests, "ClusterRole", "-edit")
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert {verb for rule in view["rules"] for verb in rule["verbs"]} == READ
    assert {group for role in (view, edit) for rule in role["rules"] for group in rule["apiGroups"]} == {
        "chatstream.dev"
    }


@pytest.mark.parametrize("kind", ["Deployment", "Pod"])
def test_pods_are_restricted(manifests: Sequence[Manifest], kind: str) -> None:
    spec = pod_specs(manifests)[kind]
    context = spec["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] == 10001
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert {name for volume in spec.get("volumes", []) for name in volume} <= {"name", "emptyDir"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]


def test_only_the_pods_that_need_the_token_mount_it(manifests: Sequence[Manifest]) -> None:
    assert pick(manifests, "ServiceAccount")["automountServiceAccountToken"] is False
    assert all(spec["automountServiceAccountToken"] is True for spec in pod_specs(manifests).values())


def test_what_is_written_at_run_time_goes_to_a_bounded_volume(manifests: Sequence[Manifest]) -> None:
    spec = pod_specs(manifests)["Deployment"]
    assert spec["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
