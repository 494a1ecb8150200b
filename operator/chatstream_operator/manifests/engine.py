"""The engine's container: a native sidecar, so it starts before the server and stops after it.

It has no preStop, which would run at once when the pod ends, while the server still drains.
"""

from __future__ import annotations

from typing import Any

from chatstream_operator.manifests import names
from chatstream_operator.manifests.plan import Manifest, Plan
from chatstream_operator.manifests.security import build_container_security

SPARE_REQUESTS = 8
STOP_SEQUENCES = 8


def build_engine_container(plan: Plan) -> Manifest:
    tgi = plan.chatstream.spec.engine.type == "TGI"
    return {
        "name": "engine",
        "image": plan.engine_image,
        "imagePullPolicy": plan.settings.image_pull_policy,
        **({} if tgi else {"args": ["demo-engine"]}),
        "restartPolicy": "Always",
        "workingDir": "/work",
        "env": build_engine_env(plan),
        "ports": [{"name": "engine", "containerPort": names.ENGINE_PORT, "protocol": "TCP"}],
        "resources": _resources(plan),
        **(_tgi_probes() if tgi else _demo_probes()),
        "securityContext": build_container_security(),
        "volumeMounts": _mounts(tgi=tgi),
    }


def build_engine_volumes(plan: Plan) -> list[Manifest]:
    """Volumes of the pod that the engine mounts."""
    volumes: list[Manifest] = [
        {"name": "engine-tmp", "emptyDir": {}},
        {"name": "engine-work", "emptyDir": {}},
    ]
    if plan.chatstream.spec.engine.type == "TGI":
        volumes.append({"name": "model-cache", **_cache_source(plan)})
        # The shards of a model talk through /dev/shm; the runtime's default of 64 MiB is too small for NCCL.
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}})
    return volumes


def build_engine_env(plan: Plan) -> list[Manifest]:
    chatstream = plan.chatstream
    spec = chatstream.spec
    # The engine counts a request until its last byte is gone, ours until the slot is free: hence the spare.
    limit = spec.concurrency.max_concurrent + max(SPARE_REQUESTS, spec.concurrency.max_concurrent // 2)
    values = {
        "PORT": str(names.ENGINE_PORT),
        "HOSTNAME": "0.0.0.0",  # noqa: S104 -- the kubelet's probes come to the pod's address
        "MODEL_ID": chatstream.model_id,
        **({"REVISION": spec.model.revision} if spec.model and spec.model.revision else {}),
        "MAX_INPUT_TOKENS": str(spec.engine.max_input_tokens),
        "MAX_TOTAL_TOKENS": str(spec.engine.max_total_tokens),
        "MAX_CONCURRENT_REQUESTS": str(limit),
        "MAX_STOP_SEQUENCES": str(STOP_SEQUENCES),
        **({"NUM_SHARD": str(chatstream.gpu_count)} if chatstream.gpu_count > 1 else {}),
        "USAGE_STATS": "off",
        "HOME": "/tmp",  # noqa: S108 -- an emptyDir of the pod's own
        "HF_HOME": "/data",
        "HUGGINGFACE_HUB_CACHE": "/data",
    }
    user = [{"name": variable.name, "value": variable.value} for variable in spec.engine.env]
    return [{"name": key, "value": value} for key, value in values.items()] + _secret_env(plan) + user


def _secret_env(plan: Plan) -> list[Manifest]:
    model = plan.chatstream.spec.model
    refs = {"API_KEY": {"name": names.keys_name(plan.chatstream), "key": names.ENGINE_API_KEY}}
    if model and model.token_secret_ref:
        refs["HF_TOKEN"] = {"name": model.token_secret_ref.name, "key": model.token_secret_ref.key}
    return [{"name": key, "valueFrom": {"secretKeyRef": ref}} for key, ref in refs.items()]


def _resources(plan: Plan) -> Manifest:
    # No memory limit: what a model needs beside its GPU is known to nobody here.
    resources: dict[str, dict[str, str]] = {"requests": {"cpu": "50m", "memory": "128Mi"}}
    count = plan.chatstream.gpu_count
    if count > 0:
        gpu = {plan.chatstream.spec.engine.gpu.resource_name: str(count)}
        resources = {"requests": {**resources["requests"], **gpu}, "limits": gpu}
    return resources


def _mounts(*, tgi: bool) -> list[dict[str, Any]]:
    mounts = [{"name": "engine-tmp", "mountPath": "/tmp"}, {"name": "engine-work", "mountPath": "/work"}]  # noqa: S108
    if tgi:
        mounts.append({"name": "model-cache", "mountPath": "/data"})
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108
    return mounts


def _cache_source(plan: Plan) -> Manifest:
    model = plan.chatstream.spec.model
    if model and model.cache:
        return {"persistentVolumeClaim": {"claimName": names.cache_name(plan.chatstream)}}
    return {"emptyDir": {}}


def _probe(*, period: int, timeout: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": "/health", "port": "engine", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def _tgi_probes() -> Manifest:
    """An hour to download and load the model; then a minute of silence means that it hangs."""
    return {
        "startupProbe": _probe(period=5, timeout=5, failures=720),
        "livenessProbe": _probe(period=10, timeout=10, failures=6),
    }


def _demo_probes() -> Manifest:
    return {
        "startupProbe": _probe(period=1, timeout=3, failures=60),
        "livenessProbe": _probe(period=10, timeout=5, failures=3),
    }
