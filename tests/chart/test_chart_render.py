"""What the chart renders, with its defaults and with every option set."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import yaml

from chatstream_operator.settings import OperatorSettings
from helm import ALL_OPTIONS, CHART, ROOT, Helm, Manifest, pick

OPERATOR_IMAGE = "registry.example.com/chatstream/operator@sha256:" + "0" * 64
IMAGES = {
    "CHATSTREAM_OPERATOR_SERVER_IMAGE": "registry.example.com/chatstream/server@sha256:" + "1" * 64,
    "CHATSTREAM_OPERATOR_TGI_IMAGE": "registry.example.com/tgi@sha256:" + "2" * 64,
    "CHATSTREAM_OPERATOR_REDIS_IMAGE": "registry.example.com/redis@sha256:" + "3" * 64,
}


@pytest.fixture(scope="module")
def default(helm: Helm) -> Sequence[Manifest]:
    return helm.template()


@pytest.fixture(scope="module")
def full(helm: Helm) -> Sequence[Manifest]:
    return helm.template(values=[ALL_OPTIONS])


def environment(manifests: Sequence[Manifest]) -> dict[str, str]:
    container = pick(manifests, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


@pytest.mark.parametrize("values", [[], ["--values", str(ALL_OPTIONS)]], ids=["default", "all-options"])
def test_lint_strict(helm: Helm, values: list[str]) -> None:
    helm.must("lint", "--strict", str(CHART), *values)


def test_the_kinds_rendered_by_default(default: Sequence[Manifest]) -> None:
    assert sorted((m["kind"], m["metadata"]["name"]) for m in default) == [
        ("ClusterRole", "chatstream-operator"),
        ("ClusterRole", "chatstream-operator-edit"),
        ("ClusterRole", "chatstream-operator-view"),
        ("ClusterRoleBinding", "chatstream-operator"),
        ("CustomResourceDefinition", "chatstreams.chatstream.dev"),
        ("Deployment", "chatstream-operator"),
        ("Pod", "chatstream-operator-test"),
        ("Service", "chatstream-operator"),
        ("ServiceAccount", "chatstream-operator"),
    ]


def test_namespaced_objects_are_in_the_release_namespace(default: Sequence[Manifest]) -> None:
    cluster_wide = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
    assert {m["metadata"].get("namespace") for m in default if m["kind"] not in cluster_wide} == {
        "chatstream-system"
    }


def test_the_operator_is_told_its_images_and_settings(default: Sequence[Manifest]) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert environment(default) == {
        "CHATSTREAM_OPERATOR_SERVER_IMAGE": f"chatstream/server:{version}",
        "CHATSTREAM_OPERATOR_TGI_IMAGE": "ghcr.io/huggingface/text-generation-inference:3.3.6",
        "CHATSTREAM_OPERATOR_REDIS_IMAGE": "docker.io/library/redis:8.0",
        "CHATSTREAM_OPERATOR_IMAGE_PULL_POLICY": "IfNotPresent",
        "CHATSTREAM_OPERATOR_IMAGE_PULL_SECRETS": "[]",
        "CHATSTREAM_OPERATOR_LOG_LEVEL": "info",
        "CHATSTREAM_OPERATOR_RESYNC_SECONDS": "30",
        "CHATSTREAM_OPERATOR_WORKERS": "4",
        "CHATSTREAM_OPERATOR_HEALTH_PORT": "8081",
        "CHATSTREAM_OPERATOR_METRICS_PORT": "9090",
    }


def test_the_operator_alone_has_the_charts_default_images(default: Sequence[Manifest]) -> None:
    """Run without the chart, the operator fills in the same images."""
    told = environment(default)
    fields = OperatorSettings.model_fields
    for name in ("server_image", "tgi_image", "redis_image"):
        assert told[f"CHATSTREAM_OPERATOR_{name.upper()}"] == fields[name].default


def test_the_operator_is_told_its_pods_name(default: Sequence[Manifest]) -> None:
    """kopf asks for a user name without it, and a bare number has none."""
    container = pick(default, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    reference = {"fieldRef": {"fieldPath": "metadata.name"}}
    assert container["env"][0] == {"name": "POD_ID", "valueFrom": reference}


def test_every_option_reaches_the_environment(full: Sequence[Manifest]) -> None:
    assert environment(full) == {
        **IMAGES,
        "CHATSTREAM_OPERATOR_IMAGE_PULL_POLICY": "Always",
        "CHATSTREAM_OPERATOR_IMAGE_PULL_SECRETS": '["registry"]',
        "CHATSTREAM_OPERATOR_LOG_LEVEL": "debug",
        "CHATSTREAM_OPERATOR_RESYNC_SECONDS": "60",
        "CHATSTREAM_OPERATOR_WORKERS": "8",
        "CHATSTREAM_OPERATOR_HEALTH_PORT": "8081",
        "CHATSTREAM_OPERATOR_METRICS_PORT": "9090",
        "HTTPS_PROXY": "http://proxy.example.com:3128",
    }


def test_every_option_reaches_the_pod(full: Sequence[Manifest]) -> None:
    deployment = pick(full, "Deployment", "chat-operator")
    template = deployment["spec"]["template"]
    pod, container = template["spec"], template["spec"]["containers"][0]
    assert container["image"] == OPERATOR_IMAGE
    assert container["imagePullPolicy"] == "Always"
    assert container["resources"]["limits"] == {"cpu": 1, "memory": "1Gi"}
    assert [port["name"] for port in pick(full, "Service")["spec"]["ports"]] == ["health"]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["serviceAccountName"] == "chat-operator-account"
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert pod["tolerations"][0]["operator"] == "Exists"
    assert "nodeAffinity" in pod["affinity"]
    assert (
        template["metadata"]["labels"].items() >= {"example.com/tier": "control", "team": "platform"}.items()
    )
    assert template["metadata"]["annotations"] == {
        "kubectl.kubernetes.io/default-container": "operator",
        "example.com/note": "chat",
    }


def test_common_labels_and_annotations_reach_their_objects(full: Sequence[Manifest]) -> None:
    without = [m["kind"] for m in full if m["metadata"]["labels"].get("team") != "platform"]
    assert without == ["Pod"]
    assert pick(full, "ServiceAccount")["metadata"]["annotations"] == {"example.com/role": "chat"}


def test_the_selector_matches_the_pods_and_the_service(full: Sequence[Manifest]) -> None:
    deployment = pick(full, "Deployment")
    selector = deployment["spec"]["selector"]["matchLabels"]
    assert deployment["spec"]["template"]["metadata"]["labels"].items() >= selector.items()
    assert pick(full, "Service")["spec"]["selector"] == selector
    assert not selector.items() <= pick(full, "Pod")["metadata"]["labels"].items()


def test_probes_ask_the_health_port(default: Sequence[Manifest]) -> None:
    container = pick(default, "Deployment")["spec"]["template"]["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"health": 8081, "metrics": 9090}
    asked = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert asked == {
        "startupProbe": {"path": "/healthz", "port": "health"},
        "livenessProbe": {"path": "/healthz", "port": "health"},
        "readinessProbe": {"path": "/readyz", "port": "health"},
    }


def test_the_definition_is_the_source_of_truth_and_kept(full: Sequence[Manifest]) -> None:
    source = yaml.safe_load((ROOT / "crds" / "chatstreams.chatstream.dev.yaml").read_text())
    rendered = pick(full, "CustomResourceDefinition")
    assert rendered["spec"] == source["spec"]
    assert rendered["metadata"]["annotations"] == {
        **source["metadata"].get("annotations", {}),
        "helm.sh/resource-policy": "keep",
        "example.com/owner": "platform",
    }


def test_the_definition_can_be_left_out(helm: Helm) -> None:
    manifests = helm.template("--set", "crds.install=false")
    assert "CustomResourceDefinition" not in {m["kind"] for m in manifests}


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("chatstream", "chatstream-operator"),
        ("my-chatstream", "my-chatstream-operator"),
        ("other", "other-chatstream-operator"),
        ("a" * 53, "a" * 32 + "-chatstream-operator"),
    ],
)
def test_names_follow_the_release(helm: Helm, release: str, name: str) -> None:
    assert pick(helm.template(release=release), "Deployment")["metadata"]["name"] == name


def test_an_account_of_ones_own(helm: Helm) -> None:
    manifests = helm.template("--set", "serviceAccount.create=false,serviceAccount.name=mine")
    assert "ServiceAccount" not in {m["kind"] for m in manifests}
    assert pick(manifests, "ClusterRoleBinding")["subjects"][0]["name"] == "mine"
    assert pick(manifests, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "mine"


def test_an_account_that_is_not_made_must_be_named(helm: Helm) -> None:
    result = helm.run("template", "chatstream", str(CHART), "--set", "serviceAccount.create=false")
    assert result.status != 0
    assert "serviceAccount.name is needed" in result.err


def test_roles_can_be_left_to_others(helm: Helm) -> None:
    manifests = helm.template("--set", "rbac.create=false,rbac.aggregate=false")
    assert not {"ClusterRole", "ClusterRoleBinding"} & {m["kind"] for m in manifests}
