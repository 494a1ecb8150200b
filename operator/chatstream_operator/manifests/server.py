"""The server's container: the pod's main one."""

from __future__ import annotations

from chatstream_operator.manifests import names
from chatstream_operator.manifests.plan import Manifest, Plan
from chatstream_operator.manifests.security import build_container_security

CONFIG_FOLDER = "/etc/chatstream"
CONFIG_FILE = "config.yaml"
REDIS_CA_FILE = "redis-ca.crt"
KEYS_FOLDER = "keys"
FILE_MODE = 0o440
"""Of files in the volume: for root and the server's group, which its fsGroup is."""
PRESTOP_SECONDS = 5
"""Time for the endpoints to forget the pod, before the server closes its listener."""


def build_server_container(plan: Plan) -> Manifest:
    return {
        "name": "server",
        "image": plan.settings.server_image,
        "imagePullPolicy": plan.settings.image_pull_policy,
        "args": ["serve"],
        "env": build_server_env(plan),
        "ports": [
            {"name": "http", "containerPort": names.HTTP_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": names.METRICS_PORT, "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "startupProbe": _probe("/healthz", period=1, failures=60),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        "readinessProbe": _probe("/readyz", period=2, failures=2),
        "lifecycle": {"preStop": {"sleep": {"seconds": PRESTOP_SECONDS}}},
        "securityContext": build_container_security(),
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- an emptyDir of the pod's own
        ],
    }


def build_server_volumes(plan: Plan) -> list[Manifest]:
    """Volumes of the pod that the server mounts."""
    return [
        {"name": "config", "projected": {"defaultMode": FILE_MODE, "sources": _sources(plan)}},
        {"name": "tmp", "emptyDir": {}},
    ]


def _sources(plan: Plan) -> list[Manifest]:
    """The settings; the keys, as files, since those of a running pod follow the Secret; an authority."""
    chatstream = plan.chatstream
    keys = [{"key": name, "path": f"{KEYS_FOLDER}/{name}"} for name in names.ring_names(chatstream)]
    sources: list[Manifest] = [
        {"configMap": {"name": names.config_name(chatstream)}},
        {"secret": {"name": names.keys_name(chatstream), "items": keys}},
    ]
    if ref := chatstream.redis_ca_ref:
        sources.append({"secret": {"name": ref.name, "items": [{"key": ref.key, "path": REDIS_CA_FILE}]}})
    return sources


def build_server_env(plan: Plan) -> list[Manifest]:
    """Where the settings file lies, and the secrets that do not change: they are never in the ConfigMap."""
    chatstream = plan.chatstream
    keys = names.keys_name(chatstream)
    refs = {"CHATSTREAM_ENGINE__API_KEY": {"name": keys, "key": names.ENGINE_API_KEY}}
    if chatstream.session_store == "managed":
        password = {"name": names.redis_name(chatstream), "key": names.REDIS_PASSWORD}
        refs["CHATSTREAM_SESSIONS__REDIS_PASSWORD"] = password
    if chatstream.redis_url_ref:
        url = {"name": chatstream.redis_url_ref.name, "key": chatstream.redis_url_ref.key}
        refs["CHATSTREAM_SESSIONS__REDIS_URL"] = url
    path: Manifest = {"name": "CHATSTREAM_CONFIG", "value": f"{CONFIG_FOLDER}/{CONFIG_FILE}"}
    return [path, *({"name": key, "valueFrom": {"secretKeyRef": ref}} for key, ref in refs.items())]


def _probe(path: str, *, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }
