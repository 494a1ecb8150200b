"""One test an option: what it changes in the children."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream_operator.rotation import ABSOLUTE_TIMEOUT
from chatstream_operator.settings import OperatorSettings
from chatstream_operator.spec import ChatStream
from chatstream_operator.spec.model import SecretKeyRef
from tests.operator.samples import (
    SETTINGS,
    TGI,
    children,
    config_of,
    demo,
    engine_of,
    env_of,
    plan,
    pod_spec,
    server_of,
    tgi,
)


def model(**parts: object) -> ChatStream:
    return tgi(model={**TGI["model"], **parts})


def engine(**parts: object) -> ChatStream:
    return tgi(engine={"type": "TGI", **parts})


def deployment(resource: ChatStream) -> dict[str, Any]:
    spec: dict[str, Any] = children(resource)["Deployment/demo"]["spec"]
    return spec


def redis_spec(resource: ChatStream) -> dict[str, Any]:
    spec: dict[str, Any] = children(resource)["StatefulSet/demo-redis"]["spec"]
    return spec


def test_model_id_and_revision_reach_the_engine() -> None:
    env = env_of(engine_of(model(id="acme/x", revision="v2")))
    assert (env["MODEL_ID"], env["REVISION"]) == ("acme/x", "v2")
    assert "REVISION" not in env_of(engine_of(model()))


def test_the_token_stays_in_its_secret() -> None:
    env = env_of(engine_of(model(tokenSecretRef={"name": "hf", "key": "token"})))
    assert env["HF_TOKEN"] == {"secretKeyRef": {"name": "hf", "key": "token"}}


def test_a_cache_is_a_claim() -> None:
    cache = {"size": "5Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"}
    claim = children(model(cache=cache))["PersistentVolumeClaim/demo-model-cache"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "5Gi"}},
    }
    volumes = {volume["name"]: volume for volume in pod_spec(model(cache=cache))["volumes"]}
    assert volumes["model-cache"]["persistentVolumeClaim"] == {"claimName": "demo-model-cache"}


def test_an_engines_image_is_the_users() -> None:
    assert engine_of(engine(image="mine:2"))["image"] == "mine:2"
    assert engine_of(demo())["image"] == SETTINGS.server_image
    assert plan(engine(image="mine:2")).engine_image == "mine:2"


@pytest.mark.parametrize("count", [1, 2])
def test_gpus_are_limits_under_their_name(count: int) -> None:
    resources = engine_of(engine(gpu={"count": count, "resourceName": "amd.com/gpu"}))["resources"]
    assert resources["limits"] == {"amd.com/gpu": str(count)}
    assert resources["requests"]["amd.com/gpu"] == str(count)


def test_several_gpus_are_several_shards() -> None:
    assert env_of(engine_of(engine(gpu={"count": 2})))["NUM_SHARD"] == "2"
    assert "NUM_SHARD" not in env_of(engine_of(engine(gpu={"count": 1})))


def test_no_gpu_is_no_limit() -> None:
    assert "limits" not in engine_of(demo())["resources"]


def test_with_gpus_old_pods_drain_before_new_ones_start() -> None:
    assert deployment(tgi())["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert deployment(demo())["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_token_limits_reach_engine_and_server() -> None:
    resource = engine(maxInputTokens=100, maxTotalTokens=2000)
    env, chat = env_of(engine_of(resource)), config_of(resource)["chat"]
    assert (env["MAX_INPUT_TOKENS"], env["MAX_TOTAL_TOKENS"]) == ("100", "2000")
    assert (chat["max_input_tokens"], chat["max_total_tokens"]) == (100, 2000)


def test_the_users_environment_comes_last() -> None:
    container = engine_of(engine(env=[{"name": "QUANTIZE", "value": "awq"}]))
    assert container["env"][-1] == {"name": "QUANTIZE", "value": "awq"}


def test_replicas_are_applied() -> None:
    assert deployment(demo(replicas=0))["replicas"] == 0
    assert deployment(demo(replicas=3))["replicas"] == 3


@pytest.mark.parametrize(("ours", "engines"), [(1, 9), (16, 24), (100, 150)])
def test_the_engines_limit_is_above_ours(ours: int, engines: int) -> None:
    resource = demo(concurrency={"maxConcurrent": ours})
    assert env_of(engine_of(resource))["MAX_CONCURRENT_REQUESTS"] == str(engines)
    assert config_of(resource)["concurrency"]["max_concurrent"] == ours


def test_the_queue_reaches_the_server_in_seconds() -> None:
    concurrency = config_of(demo(concurrency={"maxQueued": 0, "queueTimeout": "2m"}))["concurrency"]
    assert (concurrency["max_queued"], concurrency["queue_timeout"]) == (0, 120.0)


def test_sessions_in_memory_need_no_redis() -> None:
    resource = demo(sessions={"store": "Memory"})
    assert not [name for name in children(resource) if "redis" in name]
    assert config_of(resource)["sessions"]["store"] == "memory"
    assert not [name for name in env_of(server_of(resource)) if "REDIS" in name]


def test_a_redis_of_the_users_own_comes_by_its_secret() -> None:
    ref = {"name": "mine", "key": "url"}
    resource = demo(sessions={"redis": {"urlSecretRef": ref}})
    assert not [name for name in children(resource) if "redis" in name]
    assert env_of(server_of(resource))["CHATSTREAM_SESSIONS__REDIS_URL"] == {"secretKeyRef": ref}
    assert "redis_url" not in config_of(resource)["sessions"]


def test_the_managed_redis_has_a_password_and_an_address() -> None:
    password = env_of(server_of(demo()))["CHATSTREAM_SESSIONS__REDIS_PASSWORD"]
    assert password == {"secretKeyRef": {"name": "demo-redis", "key": "password"}}
    assert config_of(demo())["sessions"]["redis_url"] == "redis://demo-redis.team.svc:6379/0"


def test_the_managed_redis_storage_is_the_users() -> None:
    resource = demo(sessions={"redis": {"storageSize": "2Gi", "storageClassName": "fast"}})
    claim = redis_spec(resource)["volumeClaimTemplates"][0]["spec"]
    assert claim["resources"] == {"requests": {"storage": "2Gi"}}
    assert claim["storageClassName"] == "fast"
    default = redis_spec(demo())["volumeClaimTemplates"][0]["spec"]
    assert default["resources"] == {"requests": {"storage": "1Gi"}}


def test_the_redis_claim_goes_with_the_resource_unless_retained() -> None:
    policies = [
        redis_spec(demo(sessions={"retain": retain}))["persistentVolumeClaimRetentionPolicy"]["whenDeleted"]
        for retain in (False, True)
    ]
    assert policies == ["Delete", "Retain"]


def test_the_cookie_reaches_the_server() -> None:
    cookie = config_of(demo(sessions={"cookie": {"secure": False, "sameSite": "Strict"}}))["sessions"][
        "cookie"
    ]
    assert cookie == {"secure": False, "same_site": "strict", "partitioned": False}
    parts = {"sameSite": "None", "partitioned": True}
    assert config_of(demo(sessions={"cookie": parts}))["sessions"]["cookie"]["partitioned"] is True


def test_allowed_origins_reach_the_server() -> None:
    origins = ["https://www.example.com", "http://localhost:3000"]
    assert config_of(demo(sessions={"allowedOrigins": origins}))["sessions"]["allowed_origins"] == origins
    assert config_of(demo())["sessions"]["allowed_origins"] == []


def files_of(resource: ChatStream) -> dict[str, tuple[str, str]]:
    """Of the server's volume: the object and its key, by path."""
    volume = next(one for one in pod_spec(resource)["volumes"] if one["name"] == "config")
    assert volume["projected"]["defaultMode"] == 0o440
    secrets = [one["secret"] for one in volume["projected"]["sources"] if "secret" in one]
    return {item["path"]: (secret["name"], item["key"]) for secret in secrets for item in secret["items"]}


def test_keys_are_files_that_the_settings_name() -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in server_of()["volumeMounts"]}
    assert mounts["config"] == "/etc/chatstream"
    assert files_of(demo()) == {"keys/session-keys": ("demo-keys", "session-keys")}
    assert config_of()["sessions"]["secret_keys_file"] == "/etc/chatstream/keys/session-keys"
    assert not {"encryption_keys_file", "redis_ca_file"} & set(config_of()["sessions"])
    assert not [name for name in env_of(server_of()) if "KEYS" in name]


def test_sessions_are_encrypted_with_keys_of_their_own() -> None:
    resource = demo(sessions={"encrypt": True})
    assert files_of(resource)["keys/encryption-keys"] == ("demo-keys", "encryption-keys")
    path = config_of(resource)["sessions"]["encryption_keys_file"]
    assert path == "/etc/chatstream/keys/encryption-keys"


def test_an_authority_of_the_users_redis_is_a_file() -> None:
    refs = {"urlSecretRef": {"name": "mine", "key": "url"}, "caSecretRef": {"name": "ca", "key": "tls.crt"}}
    resource = demo(sessions={"redis": refs})
    assert files_of(resource)["redis-ca.crt"] == ("ca", "tls.crt")
    assert config_of(resource)["sessions"]["redis_ca_file"] == "/etc/chatstream/redis-ca.crt"
    assert resource.redis_ca_ref == SecretKeyRef(name="ca", key="tls.crt")


def test_a_session_lives_no_longer_than_the_keys_that_signed_it() -> None:
    assert config_of()["sessions"]["absolute_timeout"] == ABSOLUTE_TIMEOUT


def test_only_the_servers_of_a_resource_reach_its_redis() -> None:
    spec = children()["NetworkPolicy/demo-redis"]["spec"]
    (rule,) = spec["ingress"]
    (peer,) = rule["from"]
    servers = children()["Deployment/demo"]["spec"]["template"]["metadata"]["labels"]
    redis = children()["StatefulSet/demo-redis"]["spec"]["template"]["metadata"]["labels"]
    assert peer.keys() == {"podSelector"}
    assert peer["podSelector"]["matchLabels"].items() <= servers.items()
    assert spec["podSelector"]["matchLabels"].items() <= redis.items()
    assert not peer["podSelector"]["matchLabels"].items() <= redis.items()
    assert rule["ports"] == [{"protocol": "TCP", "port": 6379}]
    assert (spec["policyTypes"], spec["egress"]) == (["Ingress", "Egress"], [])


def test_a_session_ends_after_its_idle_time() -> None:
    assert config_of(demo(sessions={"idleTimeout": "30m"}))["sessions"]["idle_timeout"] == 1800.0


def test_the_chat_reaches_the_server() -> None:
    chat = {
        "systemPrompt": "Be brief: «kurz».",
        "template": "Llama3",
        "maxTurns": 5,
        "maxNewTokens": 64,
        "temperature": 0.5,
        "topP": 0.9,
        "stop": ["END"],
    }
    assert config_of(demo(chat=chat))["chat"] == {
        "template": "llama3",
        "max_turns": 5,
        "max_input_tokens": 4096,
        "max_total_tokens": 8192,
        "max_new_tokens": 64,
        "system_prompt": "Be brief: «kurz».",
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
    }


def test_what_the_user_leaves_open_is_left_to_the_server() -> None:
    assert not {"system_prompt", "temperature", "top_p", "stop"} & set(config_of(demo())["chat"])


def test_a_temperature_of_zero_is_greedy_which_is_to_say_nothing() -> None:
    assert "temperature" not in config_of(demo(chat={"temperature": 0}))["chat"]


def test_a_drain_fits_into_the_grace_period() -> None:
    resource = demo(drain={"timeout": "600s"})
    assert config_of(resource)["drain"] == {"timeout": 600.0}
    assert pod_spec(resource)["terminationGracePeriodSeconds"] == 5 + 600 + 15


def template_annotations(resource: ChatStream) -> dict[str, str]:
    found: dict[str, str] = deployment(resource)["template"]["metadata"]["annotations"]
    return found


def test_a_changed_setting_rolls_the_pods_and_a_changed_count_does_not() -> None:
    before = template_annotations(demo())
    assert template_annotations(demo(chat={"systemPrompt": "x"})) != before
    assert template_annotations(demo(replicas=5)) == before


def test_pull_secrets_reach_both_pods() -> None:
    settings = OperatorSettings(image_pull_secrets=("a", "b"), image_pull_policy="Always")
    built = children(demo(), settings)
    for name in ("Deployment/demo", "StatefulSet/demo-redis"):
        spec = built[name]["spec"]["template"]["spec"]
        assert spec["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]
        assert {one["imagePullPolicy"] for one in spec["containers"]} == {"Always"}


def test_everything_is_owned_and_labelled() -> None:
    for manifest in children(tgi(model={**TGI["model"], "cache": {"size": "1Gi"}})).values():
        meta = manifest["metadata"]
        assert [owner["kind"] for owner in meta["ownerReferences"]] == ["ChatStream"]
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "chatstream-operator"
        assert meta["labels"]["chatstream.dev/name"] == "demo"
        assert meta["namespace"] == "team"
