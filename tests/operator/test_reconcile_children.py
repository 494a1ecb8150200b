"""Reconcile, with an API server in memory: children made, put right, pruned; nothing written in vain."""

from __future__ import annotations

import copy

import pytest

from chatstream_operator.errors import ApplyFailed, Internal, NameTaken, Refused, Unavailable
from chatstream_operator.kube.kinds import (
    CHATSTREAM,
    CLAIM,
    CONFIGMAP,
    DEPLOYMENT,
    DISRUPTIONBUDGET,
    NETWORKPOLICY,
    SECRET,
    SERVICE,
    SERVICEACCOUNT,
    STATEFULSET,
    Kind,
)
from tests.operator.bench import Bench
from tests.operator.samples import DEMO, KEY, TGI, UID


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_new_resource_gets_all_its_children(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    assert bench.names(DEPLOYMENT) == ["demo"]
    assert bench.names(STATEFULSET) == ["demo-redis"]
    assert bench.names(SERVICE) == ["demo", "demo-redis"]
    assert bench.names(CONFIGMAP) == ["demo-config"]
    assert bench.names(SECRET) == ["demo-keys", "demo-redis"]
    assert bench.names(SERVICEACCOUNT) == ["demo", "demo-redis"]
    assert bench.names(DISRUPTIONBUDGET) == ["demo"]
    assert bench.names(CLAIM) == []


async def test_a_second_look_writes_nothing_and_asks_for_the_resource_only(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    await bench.reconcile()
    assert bench.kube.requests == [("get", "ChatStream", "demo")]


async def test_a_resource_that_is_gone_is_no_error(bench: Bench) -> None:
    assert await bench.reconcile() is None
    assert bench.kube.writes() == []


async def test_a_resource_that_goes_is_left_to_the_garbage_collector(bench: Bench) -> None:
    raw = bench.put()
    raw["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    bench.kube.put(raw)
    await bench.reconcile()
    assert bench.kube.writes() == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [(DEPLOYMENT, "demo"), (SERVICE, "demo-redis"), (CONFIGMAP, "demo-config"), (DISRUPTIONBUDGET, "demo")],
)
async def test_a_child_that_was_deleted_is_made_again(bench: Bench, kind: object, name: str) -> None:
    bench.put()
    await bench.settle()
    bench.kube.remove(kind, KEY.namespace, name)  # type: ignore[arg-type]
    await bench.settle()
    assert name in bench.names(kind)  # type: ignore[arg-type]


async def test_a_child_that_was_changed_is_put_right(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    wanted = copy.deepcopy(bench.get(DEPLOYMENT, "demo")["spec"])
    changed = copy.deepcopy(bench.get(DEPLOYMENT, "demo"))
    changed["spec"]["replicas"] = 7
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "evil:1"
    changed["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "EXTRA", "value": "1"})
    changed["spec"]["template"]["spec"]["containers"].append({"name": "spy", "image": "evil:1"})
    bench.kube.put(changed)
    await bench.settle()
    assert bench.get(DEPLOYMENT, "demo")["spec"] == wanted


async def test_a_key_too_many_in_the_settings_is_taken_out(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    changed = copy.deepcopy(bench.get(CONFIGMAP, "demo-config"))
    changed["data"]["other.yaml"] = "x"
    bench.kube.put(changed)
    await bench.settle()
    assert list(bench.get(CONFIGMAP, "demo-config")["data"]) == ["config.yaml"]


async def test_a_changed_policy_is_put_right_without_shutting_the_servers_out(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    wanted = copy.deepcopy(bench.get(NETWORKPOLICY, "demo-redis")["spec"])
    changed = copy.deepcopy(bench.get(NETWORKPOLICY, "demo-redis"))
    changed["spec"]["ingress"][0]["from"].append({"podSelector": {}})
    bench.kube.put(changed)
    await bench.reconcile()
    assert bench.kube.writes() == [("apply", "NetworkPolicy", "demo-redis")]
    assert bench.get(NETWORKPOLICY, "demo-redis")["spec"] == wanted
    await bench.reconcile()
    assert bench.kube.writes() == []


async def test_what_others_may_add_stays(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    changed = copy.deepcopy(bench.get(DEPLOYMENT, "demo"))
    changed["metadata"]["annotations"]["note"] = "mine"
    bench.kube.put(changed)
    await bench.settle()
    assert bench.get(DEPLOYMENT, "demo")["metadata"]["annotations"]["note"] == "mine"


async def test_a_removal_that_comes_too_late_is_tried_again_later(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    changed = copy.deepcopy(bench.get(CONFIGMAP, "demo-config"))
    changed["data"]["other.yaml"] = "x"
    bench.kube.put(changed)
    bench.kube.fail("patch", CONFIGMAP, Refused("the test failed", status=422))
    await bench.reconcile()
    assert "other.yaml" in bench.get(CONFIGMAP, "demo-config")["data"]
    await bench.settle()
    assert "other.yaml" not in bench.get(CONFIGMAP, "demo-config")["data"]


async def test_what_is_no_longer_wanted_is_pruned(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    bench.put({**DEMO, "sessions": {"store": "Memory"}})
    await bench.settle()
    assert bench.names(STATEFULSET) == []
    assert bench.names(SERVICE) == ["demo"]
    assert bench.names(SECRET) == ["demo-keys"]


async def test_a_cache_that_is_no_longer_wanted_is_pruned(bench: Bench) -> None:
    bench.put({**TGI, "model": {"id": "x", "cache": {"size": "1Gi"}}})
    await bench.settle()
    assert bench.names(CLAIM) == ["demo-model-cache"]
    bench.put(TGI)
    await bench.settle()
    assert bench.names(CLAIM) == []


async def test_what_bears_our_labels_but_is_not_ours_is_not_pruned(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    labels = bench.get(SERVICE, "demo")["metadata"]["labels"]
    meta = {"name": "mine", "namespace": KEY.namespace, "labels": labels}
    bench.kube.put({"apiVersion": "v1", "kind": "Service", "metadata": meta})
    await bench.settle()
    assert "mine" in bench.names(SERVICE)


async def test_a_name_that_is_taken_is_not_taken_over(bench: Bench) -> None:
    meta = {"name": "demo", "namespace": KEY.namespace}
    theirs = bench.kube.put({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"a": 1}})
    bench.put()
    with pytest.raises(NameTaken):
        await bench.reconcile()
    assert bench.get(SERVICE, "demo") == theirs
    assert bench.condition("Ready")["reason"] == "NameTaken"
    assert "Service demo is there already and belongs to nobody" in bench.condition("Ready")["message"]
    # The rest is there all the same.
    assert bench.names(DEPLOYMENT) == ["demo"]
    bench.kube.remove(SERVICE, KEY.namespace, "demo")
    await bench.settle()
    assert bench.condition("Reconciled")["status"] == "True"


async def test_a_secret_that_is_somebody_elses_is_not_read(bench: Bench) -> None:
    meta = {"name": "demo-keys", "namespace": KEY.namespace}
    bench.kube.put({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {}})
    bench.put()
    with pytest.raises(NameTaken):
        await bench.reconcile()
    assert bench.condition("Reconciled")["reason"] == "NameTaken"
    assert bench.names(DEPLOYMENT) == []


async def test_a_child_that_is_refused_holds_up_no_other(bench: Bench) -> None:
    bench.put()
    bench.kube.fail("apply", SERVICE, Refused("exceeded quota", status=403))
    with pytest.raises(ApplyFailed, match="Service demo was refused: exceeded quota"):
        await bench.reconcile()
    assert bench.names(DEPLOYMENT) == ["demo"]
    assert bench.condition("Ready")["reason"] == "ApplyFailed"
    await bench.settle()
    assert bench.condition("Reconciled")["status"] == "True"


async def test_while_a_child_is_refused_nothing_is_pruned(bench: Bench) -> None:
    """The old pods still run, with sessions in the Redis that the new ones will not need."""
    bench.put()
    await bench.settle()
    bench.put({**DEMO, "sessions": {"store": "Memory"}})
    bench.kube.fail("apply", DEPLOYMENT, Refused("the webhook says no", status=403))
    with pytest.raises(ApplyFailed, match="the webhook says no"):
        await bench.reconcile()
    assert (bench.names(STATEFULSET), "demo-redis" in bench.names(SECRET)) == (["demo-redis"], True)
    await bench.settle()
    assert bench.names(STATEFULSET) == []


async def test_a_secret_that_is_refused_is_told(bench: Bench) -> None:
    bench.put()
    bench.kube.fail("create", SECRET, Refused("exceeded quota: few", status=403))
    with pytest.raises(ApplyFailed):
        await bench.reconcile()
    assert bench.condition("Ready")["reason"] == "ApplyFailed"
    assert "exceeded quota: few" in bench.condition("Ready")["message"]
    await bench.settle()
    assert bench.condition("Reconciled")["status"] == "True"


async def test_a_child_that_may_not_be_deleted_is_told_and_the_others_go(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    bench.put({**DEMO, "sessions": {"store": "Memory"}})
    bench.kube.fail("delete", STATEFULSET, Refused("the webhook says no", status=403))
    with pytest.raises(ApplyFailed):
        await bench.reconcile()
    message = bench.condition("Reconciled")["message"]
    assert message == "deleting StatefulSet demo-redis was refused: the webhook says no"
    assert bench.names(SERVICE) == ["demo"]


async def test_a_deployment_that_was_paused_goes_on(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    paused = copy.deepcopy(bench.get(DEPLOYMENT, "demo"))
    paused["spec"]["paused"] = True
    bench.kube.put(paused)
    await bench.settle()
    assert not bench.get(DEPLOYMENT, "demo")["spec"]["paused"]


@pytest.mark.parametrize(("method", "kind"), [("apply", SERVICE), ("create", SECRET)])
async def test_a_webhook_that_fails_is_told(bench: Bench, method: str, kind: Kind) -> None:
    """The API server says 500, and may say so for ever."""
    bench.put()
    bench.kube.fail(method, kind, Internal("failed calling webhook x.example.com", status=500))
    with pytest.raises(ApplyFailed):
        await bench.reconcile()
    assert bench.condition("Ready")["reason"] == "ApplyFailed"
    assert "failed calling webhook x.example.com" in bench.condition("Ready")["message"]
    await bench.settle()
    assert bench.condition("Reconciled")["status"] == "True"


async def test_an_api_server_that_is_away_is_asked_again(bench: Bench) -> None:
    bench.put()
    bench.kube.fail("apply", CONFIGMAP, Unavailable("timeout"))
    with pytest.raises(Unavailable):
        await bench.reconcile()
    await bench.settle()
    assert bench.names(DEPLOYMENT) == ["demo"]


async def test_a_child_that_goes_is_let_go_first(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    going = copy.deepcopy(bench.get(CONFIGMAP, "demo-config"))
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    going["data"] = {"config.yaml": "changed"}
    bench.kube.put(going)
    await bench.reconcile()
    assert ("apply", "ConfigMap", "demo-config") not in bench.kube.writes()


async def test_a_changed_setting_is_one_write_to_the_deployment(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    bench.put({**DEMO, "chat": {"systemPrompt": "x"}})
    await bench.reconcile()
    applied = [request for request in bench.kube.writes() if request[0] == "apply"]
    assert applied == [("apply", "ConfigMap", "demo-config"), ("apply", "Deployment", "demo")]


async def test_what_is_taken_out_of_the_spec_goes_by_one_apply(bench: Bench) -> None:
    """All that is still wanted is there: only the hash tells that something was taken out."""
    bench.put({"engine": {"type": "Demo", "env": [{"name": "DTYPE", "value": "float16"}]}})
    await bench.settle()
    bench.put()
    await bench.reconcile()
    assert [one for one in bench.kube.writes() if one[1] == "Deployment"] == [("apply", "Deployment", "demo")]
    (engine,) = bench.get(DEPLOYMENT, "demo")["spec"]["template"]["spec"]["initContainers"]
    assert "DTYPE" not in [variable["name"] for variable in engine["env"]]


async def test_replicas_alone_roll_nothing(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    before = copy.deepcopy(bench.get(DEPLOYMENT, "demo")["spec"])
    bench.put({**DEMO, "replicas": 3})
    await bench.settle()
    after = bench.get(DEPLOYMENT, "demo")["spec"]
    assert (before["template"], after["replicas"]) == (after["template"], 3)


async def test_every_child_is_owned_by_the_resource(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    for place, obj in bench.kube.objects.items():
        if place[0] is not CHATSTREAM and place[0].kind != "Event":
            assert [owner["uid"] for owner in obj["metadata"]["ownerReferences"]] == [UID]
