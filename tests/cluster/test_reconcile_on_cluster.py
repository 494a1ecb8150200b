"""The real operator, with the chart's rights, on a real API server: children made, kept and taken away."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest

from tests.cluster.kubectl import Kubectl, Object, chatstream, eventually
from tests.cluster.operator_process import OperatorProcess

KINDS = "deployments,statefulsets,services,configmaps,secrets,serviceaccounts,pdb,networkpolicies,pvc,pods"
CHILDREN = {
    "deployment.apps/demo",
    "statefulset.apps/demo-redis",
    "service/demo",
    "service/demo-redis",
    "configmap/demo-config",
    "secret/demo-keys",
    "secret/demo-redis",
    "serviceaccount/demo",
    "serviceaccount/demo-redis",
    "poddisruptionbudget.policy/demo",
    "networkpolicy.networking.k8s.io/demo-redis",
}
# Every namespace has them.
STANDARD = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
TGI: Object = {"engine": {"type": "TGI"}, "model": {"id": "acme/x", "cache": {"size": "1Gi"}}}

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture
def made(kubectl: Kubectl, namespace: str) -> str:
    """A namespace with a ChatStream `demo`, all of whose children are there."""
    kubectl.apply(chatstream("demo", namespace))
    eventually(lambda: kubectl.names(KINDS, namespace) >= CHILDREN, "all children")
    eventually(lambda: condition(kubectl, namespace, "Reconciled")["status"] == "True", "Reconciled")
    return namespace


def condition(kubectl: Kubectl, namespace: str, kind: str, name: str = "demo") -> Object:
    status = kubectl.get("chst", name, "-n", namespace).get("status", {})
    found = [one for one in status.get("conditions", ()) if one["type"] == kind]
    return found[0] if found else {"status": "", "reason": "", "message": ""}


def deployment(kubectl: Kubectl, namespace: str) -> Object:
    return kubectl.get("deployment", "demo", "-n", namespace)


def same_again(look: Callable[[], Object | None], wanted: Object, what: str) -> None:
    eventually(lambda: look() == wanted, what)


def test_pods_come_under_restricted_pod_security(kubectl: Kubectl, made: str) -> None:
    def look() -> bool:
        return len(kubectl.get("pods", "-n", made)["items"]) == 2

    eventually(look, "a pod of the server and one of Redis")


def test_tgi_pods_come_under_restricted_pod_security_too(kubectl: Kubectl, namespace: str) -> None:
    kubectl.apply(chatstream("demo", namespace, **TGI))
    eventually(
        lambda: "persistentvolumeclaim/demo-model-cache" in kubectl.names("pvc", namespace), "the cache"
    )
    eventually(lambda: len(kubectl.get("pods", "-n", namespace)["items"]) == 2, "both pods")


def test_a_child_that_is_deleted_by_hand_comes_back(kubectl: Kubectl, made: str) -> None:
    for child in ("deployment/demo", "service/demo-redis", "configmap/demo-config", "pdb/demo"):
        before = kubectl.get(child, "-n", made)["metadata"]["uid"]
        kubectl.must("delete", child, "-n", made, "--wait=false")

        def back(child: str = child, before: str = before) -> bool:
            found = kubectl.find(child, "-n", made)
            return found is not None and found["metadata"]["uid"] != before

        eventually(back, f"{child} is back")


def test_a_child_that_is_changed_by_hand_is_put_right(kubectl: Kubectl, made: str) -> None:
    wanted = deployment(kubectl, made)["spec"]
    kubectl.must("set", "image", "deployment/demo", "server=evil:1", "-n", made)
    kubectl.must("set", "env", "deployment/demo", "EXTRA=1", "-n", made)
    kubectl.must("scale", "deployment/demo", "--replicas=5", "-n", made)
    kubectl.must("rollout", "pause", "deployment/demo", "-n", made)
    same_again(lambda: deployment(kubectl, made)["spec"], wanted, "the Deployment is as it was")


def test_the_network_policy_of_redis_is_put_right_and_comes_back(kubectl: Kubectl, made: str) -> None:
    def spec() -> Object | None:
        found = kubectl.find("networkpolicy", "demo-redis", "-n", made)
        return found["spec"] if found else None

    wanted = spec()
    assert wanted is not None
    anyone: Object = {"ingress": [*wanted["ingress"], {}], "egress": [{}], "policyTypes": ["Ingress"]}
    kubectl.patch("networkpolicy", "demo-redis", made, {"spec": anyone})
    same_again(spec, wanted, "only servers reach Redis, and it reaches nobody")
    kubectl.must("delete", "networkpolicy", "demo-redis", "-n", made)
    same_again(spec, wanted, "it is back")


def test_an_apply_to_an_older_version_is_refused(kubectl: Kubectl, made: str) -> None:
    """What keeps the operator from setting keys back, where its cache is behind."""
    before = kubectl.get("secret", "demo-keys", "-n", made)
    kubectl.must("annotate", "secret", "demo-keys", "-n", made, "note=mine")
    kept = {key: before["metadata"][key] for key in ("name", "namespace", "resourceVersion")}
    stale = {"apiVersion": "v1", "kind": "Secret", "metadata": kept, "data": before["data"]}
    argv = ("apply", "--server-side", "--force-conflicts", "--field-manager=chatstream-operator", "-f", "-")
    result = kubectl.run(*argv, stdin=json.dumps(stale))
    assert result.status != 0
    assert "the object has been modified" in result.err


def test_settings_that_are_changed_by_hand_are_put_right(kubectl: Kubectl, made: str) -> None:
    def data() -> Object:
        found: Object = kubectl.get("configmap", "demo-config", "-n", made)["data"]
        return found

    wanted = data()
    kubectl.patch("configmap", "demo-config", made, {"data": {"config.yaml": "broken", "other": "x"}})
    same_again(data, wanted, "the settings are as they were")


def test_labels_that_are_taken_off_come_back(kubectl: Kubectl, made: str) -> None:
    label = "app.kubernetes.io/managed-by"

    def labels() -> Object:
        found: Object = kubectl.get("service", "demo", "-n", made)["metadata"]["labels"]
        return found

    wanted = labels()
    kubectl.must("label", "service", "demo", "-n", made, f"{label}-")
    same_again(labels, wanted, "the label is back")
    kubectl.must("label", "service", "demo", "-n", made, "chatstream.dev/name=other", "--overwrite")
    same_again(labels, wanted, "the owner's name is back")


def test_secrets_are_made_once(kubectl: Kubectl, made: str, operator: OperatorProcess) -> None:
    def secrets() -> list[Object]:
        return [kubectl.get("secret", name, "-n", made)["data"] for name in ("demo-keys", "demo-redis")]

    before = secrets()
    (key,) = json.loads(base64.b64decode(before[0]["session-keys"]))
    assert len(base64.urlsafe_b64decode(key + "=")) == 32
    kubectl.apply(chatstream("demo", made, replicas=2, chat={"systemPrompt": "x"}))
    eventually(lambda: deployment(kubectl, made)["spec"]["replicas"] == 2, "the change is applied")
    assert secrets() == before


def test_no_secret_is_in_the_log(kubectl: Kubectl, made: str, operator: OperatorProcess) -> None:
    data = kubectl.get("secret", "demo-redis", "-n", made)["data"]
    assert base64.b64decode(data["password"]).decode() not in operator.log()


def test_what_is_no_longer_wanted_is_pruned(kubectl: Kubectl, made: str) -> None:
    kubectl.apply(chatstream("demo", made, sessions={"store": "Memory"}))
    eventually(lambda: not [one for one in kubectl.names(KINDS, made) if "redis" in one], "no Redis is left")
    assert {"deployment.apps/demo", "service/demo", "secret/demo-keys"} <= kubectl.names(KINDS, made)


def test_scale_scales_and_rolls_nothing(kubectl: Kubectl, made: str) -> None:
    template = deployment(kubectl, made)["spec"]["template"]
    kubectl.must("scale", "chst", "demo", "-n", made, "--replicas=3")
    eventually(lambda: deployment(kubectl, made)["spec"]["replicas"] == 3, "three replicas")
    assert deployment(kubectl, made)["spec"]["template"] == template
    assert len(kubectl.get("replicasets", "-n", made)["items"]) == 1


def test_a_changed_prompt_is_one_rollout(kubectl: Kubectl, made: str) -> None:
    kubectl.apply(chatstream("demo", made, chat={"systemPrompt": "Be brief."}))
    eventually(lambda: len(kubectl.get("replicasets", "-n", made)["items"]) == 2, "a second ReplicaSet")
    revision = "deployment.kubernetes.io/revision"
    assert deployment(kubectl, made)["metadata"]["annotations"][revision] == "2"


def test_an_invalid_resource_says_so_and_keeps_what_runs(kubectl: Kubectl, made: str) -> None:
    before = deployment(kubectl, made)["spec"]
    env = [{"name": "QUANTISE", "value": "awq"}]
    kubectl.apply(chatstream("demo", made, engine={"type": "Demo", "env": env}))
    eventually(lambda: condition(kubectl, made, "Ready")["reason"] == "InvalidSpec", "InvalidSpec")
    assert "did you mean QUANTIZE?" in condition(kubectl, made, "Ready")["message"]
    status = kubectl.get("chst", "demo", "-n", made)
    assert status["status"]["observedGeneration"] == status["metadata"]["generation"]
    assert deployment(kubectl, made)["spec"] == before
    kubectl.apply(chatstream("demo", made))
    eventually(lambda: condition(kubectl, made, "Reconciled")["status"] == "True", "mended")


def test_a_name_that_is_taken_stays_its_owners(kubectl: Kubectl, namespace: str) -> None:
    kubectl.must("create", "service", "clusterip", "demo", "--tcp=80", "-n", namespace)
    before = kubectl.get("service", "demo", "-n", namespace)["spec"]
    kubectl.apply(chatstream("demo", namespace))
    eventually(lambda: condition(kubectl, namespace, "Ready")["reason"] == "NameTaken", "NameTaken")
    assert kubectl.get("service", "demo", "-n", namespace)["spec"] == before
    kubectl.must("delete", "service", "demo", "-n", namespace)
    eventually(lambda: condition(kubectl, namespace, "Reconciled")["status"] == "True", "free again")


def test_what_the_api_server_refuses_is_told_in_its_words(kubectl: Kubectl, namespace: str) -> None:
    quota = ("create", "quota", "few", "--hard=count/deployments.apps=0", "-n", namespace)
    kubectl.must(*quota)
    eventually(lambda: "used" in kubectl.get("quota", "few", "-n", namespace)["status"], "the quota counts")
    kubectl.apply(chatstream("demo", namespace))
    eventually(lambda: condition(kubectl, namespace, "Ready")["reason"] == "ApplyFailed", "ApplyFailed")
    assert "exceeded quota: few" in condition(kubectl, namespace, "Ready")["message"]
    assert "service/demo" in kubectl.names("services", namespace)
    kubectl.must("delete", "quota", "few", "-n", namespace)
    eventually(lambda: "deployment.apps/demo" in kubectl.names("deployments", namespace), "tried again")


@pytest.mark.parametrize("spec", [{}, TGI])
def test_deleting_it_leaves_nothing(kubectl: Kubectl, namespace: str, spec: Object) -> None:
    kubectl.apply(chatstream("demo", namespace, **spec))
    eventually(lambda: kubectl.names(KINDS, namespace) >= CHILDREN, "all children")
    claim = "persistentvolumeclaim/data-demo-redis-0"
    eventually(lambda: claim in kubectl.names("pvc", namespace), "the claim of Redis")
    kubectl.must("delete", "chst", "demo", "-n", namespace)
    eventually(lambda: kubectl.names(KINDS, namespace) <= STANDARD, "nothing is left")
    left = kubectl.get("replicasets,endpointslices,controllerrevisions", "-n", namespace)["items"]
    assert [one["metadata"]["name"] for one in left] == []


def test_one_of_the_same_name_goes_on_with_what_was_retained(kubectl: Kubectl, namespace: str) -> None:
    def keys() -> Object:
        return kubectl.get("secret", "demo-keys", "-n", namespace)

    kubectl.apply(chatstream("demo", namespace))
    left = {"persistentvolumeclaim/data-demo-redis-0", "secret/demo-keys"}
    eventually(lambda: kubectl.names(KINDS, namespace) >= left, "the claim of Redis")
    kubectl.apply(chatstream("demo", namespace, sessions={"retain": True}))
    eventually(lambda: "ownerReferences" not in keys()["metadata"], "the keys have no owner")
    before = keys()["data"]
    kubectl.must("delete", "chst", "demo", "-n", namespace)
    eventually(lambda: kubectl.names(KINDS, namespace) <= STANDARD | left, "all else is gone")
    assert kubectl.names(KINDS, namespace) >= left
    kubectl.apply(chatstream("demo", namespace))
    eventually(lambda: condition(kubectl, namespace, "Reconciled")["status"] == "True", "Reconciled")
    uid = kubectl.get("chst", "demo", "-n", namespace)["metadata"]["uid"]
    eventually(lambda: keys()["metadata"]["ownerReferences"][0]["uid"] == uid, "they are the new one's")
    assert keys()["data"] == before


def test_one_that_is_deleted_and_made_again_at_once_gets_children_of_its_own(
    kubectl: Kubectl, made: str
) -> None:
    kubectl.must("delete", "chst", "demo", "-n", made, "--wait=true")
    kubectl.apply(chatstream("demo", made))
    uid = kubectl.get("chst", "demo", "-n", made)["metadata"]["uid"]

    def owned() -> bool:
        items = kubectl.get(KINDS.replace(",pvc,pods", ""), "-n", made)["items"]
        ours = [one for one in items if one["metadata"]["name"].startswith("demo")]
        owners = [one["metadata"].get("ownerReferences", [{}])[0].get("uid") for one in ours]
        return len(ours) == len(CHILDREN) and set(owners) == {uid}

    eventually(owned, "all children belong to the new one", within=50)
