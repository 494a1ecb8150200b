"""Secrets: made once, read back, never rewritten; and those of the user, looked for."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest

from chatstream_operator.errors import CleaningUp, Conflict, NameTaken, Refused, Unavailable
from chatstream_operator.kube.kinds import CHATSTREAM, DEPLOYMENT, SECRET
from chatstream_operator.reconcile.secrets import checksum, new_secret
from tests.operator.bench import Bench
from tests.operator.samples import DEMO, KEY, TGI, UID

TWO_KEYS = json.dumps(["new-" * 8, "old-" * 8])


@pytest.fixture
def bench() -> Bench:
    return Bench()


def decoded(bench: Bench, name: str) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in bench.get(SECRET, name)["data"].items()}


def keys_checksum(bench: Bench) -> str:
    found: str = bench.get(DEPLOYMENT, "demo")["spec"]["template"]["metadata"]["annotations"][
        "chatstream.dev/keys-checksum"
    ]
    return found


async def test_26_session_keys_are_32_random_bytes(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    keys = json.loads(decoded(bench, "demo-keys")["session-keys"])
    assert [len(base64.urlsafe_b64decode(key + "=")) for key in keys] == [32]
    assert len({new_secret() for _ in range(100)}) == 100


async def test_keys_of_encryption_are_made_where_they_are_wanted(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    assert "encryption-keys" not in decoded(bench, "demo-keys")
    bench.put({**DEMO, "sessions": {"encrypt": True}})
    await bench.settle()
    keys = decoded(bench, "demo-keys")
    (one,) = json.loads(keys["encryption-keys"])
    assert len(base64.urlsafe_b64decode(one + "=")) == 32
    assert one not in keys["session-keys"]


async def test_every_resource_has_keys_of_its_own() -> None:
    benches = [Bench(), Bench()]
    for bench in benches:
        bench.put()
        await bench.settle()
    assert decoded(benches[0], "demo-keys") != decoded(benches[1], "demo-keys")


async def test_redis_password_is_in_its_configuration(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    secret = decoded(bench, "demo-redis")
    assert f"requirepass {secret['password']}\n" in secret["redis.conf"]


async def test_a_secret_is_never_rewritten(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    before = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    bench.put({**DEMO, "replicas": 3, "chat": {"systemPrompt": "x"}})
    await bench.settle()
    assert bench.get(SECRET, "demo-keys") == before


async def test_a_cache_that_is_behind_makes_no_second_secret(bench: Bench) -> None:
    bench.put()
    await bench.reconcile()
    before = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    bench.cache.replace(SECRET, [])
    await bench.reconciler.reconcile(KEY)
    assert bench.get(SECRET, "demo-keys") == before


async def test_a_race_for_the_name_is_read_back(bench: Bench) -> None:
    """Between our look and our creating it, another of us has made it."""
    bench.put()
    await bench.settle()
    made = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    bench.kube.remove(SECRET, KEY.namespace, "demo-keys")
    bench.sync()
    bench.kube.fail("create", SECRET, Conflict("already exists", status=409))
    creating = bench.kube.create

    async def create(obj: dict[str, object]) -> dict[str, object]:
        if obj["kind"] == "Secret":
            bench.kube.put(made)
        return await creating(obj)

    bench.kube.create = create  # type: ignore[method-assign]
    await bench.reconciler.reconcile(KEY)
    assert bench.get(SECRET, "demo-keys")["data"] == made["data"]


async def test_a_secret_that_was_deleted_is_made_anew_and_rolls_the_pods(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    before = keys_checksum(bench)
    bench.kube.remove(SECRET, KEY.namespace, "demo-keys")
    await bench.settle()
    assert keys_checksum(bench) != before


async def test_keys_that_a_user_changed_stay_and_roll_no_pod(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    before = keys_checksum(bench)
    changed = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    changed["data"]["session-keys"] = base64.b64encode(TWO_KEYS.encode()).decode()
    bench.kube.put(changed)
    await bench.settle()
    assert decoded(bench, "demo-keys")["session-keys"] == TWO_KEYS
    assert keys_checksum(bench) == before


async def test_a_key_of_the_engine_that_a_user_changed_rolls_the_pods(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    before = keys_checksum(bench)
    changed = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    changed["data"]["engine-api-key"] = base64.b64encode(b"mine").decode()
    bench.kube.put(changed)
    await bench.settle()
    assert keys_checksum(bench) != before


async def test_a_secret_that_changed_meanwhile_is_not_mended_from_what_it_was(bench: Bench) -> None:
    """The cache is behind: keys that were rotated since must not be set back."""
    bench.put()
    await bench.settle()
    stripped = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    stripped["metadata"]["labels"].pop("app.kubernetes.io/component")
    bench.kube.put(stripped)
    bench.sync()
    stripped["data"]["session-keys"] = base64.b64encode(TWO_KEYS.encode()).decode()
    bench.kube.put(stripped)
    with pytest.raises(Conflict):
        await bench.reconciler.reconcile(KEY)
    await bench.settle()
    assert decoded(bench, "demo-keys")["session-keys"] == TWO_KEYS
    assert "app.kubernetes.io/component" in bench.get(SECRET, "demo-keys")["metadata"]["labels"]


async def test_a_key_that_was_taken_out_is_made_anew_with_what_belongs_to_it(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    changed = copy.deepcopy(bench.get(SECRET, "demo-redis"))
    del changed["data"]["redis.conf"]
    bench.kube.put(changed)
    await bench.settle()
    secret = decoded(bench, "demo-redis")
    assert f"requirepass {secret['password']}\n" in secret["redis.conf"]


async def test_a_key_of_the_engine_that_was_taken_out_logs_nobody_out(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    before = decoded(bench, "demo-keys")
    changed = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    del changed["data"]["engine-api-key"]
    bench.kube.put(changed)
    await bench.settle()
    after = decoded(bench, "demo-keys")
    assert after["session-keys"] == before["session-keys"]
    assert after["engine-api-key"] not in {"", before["engine-api-key"]}


async def test_a_secret_that_cannot_be_read_is_not_made_anew(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    before = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    for _ in range(3):
        bench.cache.replace(SECRET, [])
        bench.kube.fail("get", SECRET, Unavailable("timeout"))
        with pytest.raises(Unavailable):
            await bench.reconciler.reconcile(KEY)
    assert bench.get(SECRET, "demo-keys") == before


RETAIN = {**DEMO, "sessions": {"retain": True}}


def owners(bench: Bench, name: str) -> list[str]:
    return [one["uid"] for one in bench.get(SECRET, name)["metadata"].get("ownerReferences", ())]


async def retained(bench: Bench) -> dict[str, str]:
    """The keys of a ChatStream that was deleted; the garbage collector has taken all that it owned."""
    bench.put(RETAIN)
    await bench.settle()
    keys = decoded(bench, "demo-keys")
    for place, obj in list(bench.kube.objects.items()):
        if place[0] is CHATSTREAM or obj["metadata"].get("ownerReferences"):
            bench.kube.remove(*place)
    assert bench.names(SECRET) == ["demo-keys"]
    return keys


async def test_keys_of_sessions_that_are_retained_have_no_owner(bench: Bench) -> None:
    bench.put(RETAIN)
    await bench.settle()
    assert (owners(bench, "demo-keys"), owners(bench, "demo-redis")) == ([], [UID])


async def test_turning_retain_on_and_off_moves_the_owner_and_keeps_the_keys(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    keys = decoded(bench, "demo-keys")
    for spec, wanted in ((RETAIN, []), (DEMO, [UID]), (RETAIN, []), (DEMO, [UID])):
        bench.put(spec)
        await bench.settle()
        assert (owners(bench, "demo-keys"), decoded(bench, "demo-keys")) == (wanted, keys)


@pytest.mark.parametrize(("spec", "wanted"), [(RETAIN, []), (DEMO, [UID])])
async def test_one_of_the_same_name_goes_on_with_retained_keys(
    bench: Bench, spec: dict[str, Any], wanted: list[str]
) -> None:
    keys = await retained(bench)
    bench.put(spec)
    await bench.settle()
    assert decoded(bench, "demo-keys") == keys
    assert owners(bench, "demo-keys") == wanted
    assert bench.condition("Reconciled")["status"] == "True"


async def test_keys_of_encryption_outlive_a_resource_that_does_not_want_them(bench: Bench) -> None:
    """Conversations can be read again once they are wanted again."""
    encrypted = {**DEMO, "sessions": {"encrypt": True}}
    for spec in (encrypted, {**DEMO, "sessions": {"encrypt": True, "retain": True}}, encrypted, RETAIN, DEMO):
        bench.put(spec)
        await bench.settle()
    keys = decoded(bench, "demo-keys")
    assert list(json.loads(keys["encryption-keys"])) != []
    bench.put(encrypted)
    await bench.settle()
    assert decoded(bench, "demo-keys") == keys


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"app.kubernetes.io/managed-by": "chatstream-operator"},
        {"app.kubernetes.io/managed-by": "helm", "chatstream.dev/name": "demo"},
        {"app.kubernetes.io/managed-by": "chatstream-operator", "chatstream.dev/name": "other"},
    ],
)
async def test_a_secret_that_was_never_ours_is_not_taken_up(bench: Bench, labels: dict[str, str]) -> None:
    meta = {"name": "demo-keys", "namespace": KEY.namespace, "labels": labels}
    theirs = bench.kube.put({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"a": "eA=="}})
    bench.put(RETAIN)
    with pytest.raises(NameTaken):
        await bench.reconcile()
    assert bench.get(SECRET, "demo-keys") == theirs


async def test_an_owner_that_changed_meanwhile_is_looked_at_again(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    bench.put(RETAIN)
    bench.kube.fail("patch", SECRET, Refused("the test failed", status=422))
    await bench.reconcile()
    assert owners(bench, "demo-keys") == [UID]
    await bench.settle()
    assert owners(bench, "demo-keys") == []


async def test_labels_that_were_taken_off_come_back_and_the_data_stays(bench: Bench) -> None:
    bench.put()
    await bench.settle()
    before = copy.deepcopy(bench.get(SECRET, "demo-keys"))
    stripped = copy.deepcopy(before)
    stripped["metadata"]["labels"] = {}
    bench.kube.put(stripped)
    await bench.settle()
    after = bench.get(SECRET, "demo-keys")
    assert (after["data"], after["metadata"]["labels"]) == (before["data"], before["metadata"]["labels"])


async def test_a_secret_of_one_that_was_deleted_before_waits_for_the_garbage_collector(bench: Bench) -> None:
    old = {"kind": "ChatStream", "name": "demo", "uid": "old", "controller": True}
    meta = {"name": "demo-keys", "namespace": KEY.namespace, "ownerReferences": [old]}
    bench.kube.put({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {}})
    bench.put()
    with pytest.raises(CleaningUp, match="had this name before is still being deleted"):
        await bench.reconcile()
    assert bench.events() == [("Normal", "CleaningUp")]
    bench.kube.remove(SECRET, KEY.namespace, "demo-keys")
    await bench.settle()
    assert bench.names(DEPLOYMENT) == ["demo"]


def put_secret(bench: Bench, name: str, **data: str) -> None:
    meta = {"name": name, "namespace": KEY.namespace}
    bench.kube.put({"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data})


async def test_a_users_secret_that_is_missing_is_looked_for_again(bench: Bench) -> None:
    bench.put({**TGI, "model": {"id": "x", "tokenSecretRef": {"name": "hf", "key": "token"}}})
    assert await bench.reconcile() == 10.0
    assert bench.condition("Ready")["reason"] == "SecretMissing"
    assert "Secret hf" in bench.condition("Ready")["message"]
    put_secret(bench, "hf", other="eA==")
    assert await bench.reconcile() == 10.0
    assert "has no key token" in bench.condition("Ready")["message"]
    put_secret(bench, "hf", token="eA==")
    assert await bench.reconcile() is None
    assert bench.condition("Ready")["reason"] != "SecretMissing"


async def test_an_authority_that_is_missing_is_told_with_its_name_and_key(bench: Bench) -> None:
    refs = {"urlSecretRef": {"name": "mine", "key": "url"}, "caSecretRef": {"name": "ca", "key": "tls.crt"}}
    bench.put({**DEMO, "sessions": {"redis": refs}})
    put_secret(bench, "mine", url="eA==")
    assert await bench.reconcile() == 10.0
    for name in ("Ready", "SessionsReady"):
        assert bench.condition(name)["reason"] == "SecretMissing"
        message = bench.condition(name)["message"]
        assert "spec.sessions.redis.caSecretRef: there is no Secret ca: create it" in message
        assert "with the key tls.crt" in message
    put_secret(bench, "ca", **{"tls.crt": "eA=="})
    await bench.reconcile()
    assert bench.condition("SessionsReady")["reason"] != "SecretMissing"


def test_a_checksum_tells_contents_apart_and_not_their_order() -> None:
    one = {"data": {"a": "eA==", "b": "eQ=="}}
    assert checksum(one) == checksum({"data": {"b": "eQ==", "a": "eA=="}})
    assert checksum(one) != checksum({"data": {"a": "eQ==", "b": "eA=="}})
