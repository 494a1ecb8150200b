"""The Deployment: pods of an engine and a server."""

from __future__ import annotations

from chatstream_operator.manifests import names
from chatstream_operator.manifests.configmap import build_config_checksum
from chatstream_operator.manifests.engine import build_engine_container, build_engine_volumes
from chatstream_operator.manifests.plan import Manifest, Plan
from chatstream_operator.manifests.security import SERVER_UID, build_pod_security
from chatstream_operator.manifests.server import PRESTOP_SECONDS, build_server_container, build_server_volumes

SAVE_SECONDS = 15
"""Time after the drain for the last saves and callbacks, and for the engine to stop."""
PROGRESS_SECONDS = 3900
"""Longer than the engine's start-up may take."""


def build_deployment(plan: Plan) -> Manifest:
    chatstream = plan.chatstream
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": names.metadata(chatstream, chatstream.name, "server"),
        "spec": {
            "replicas": chatstream.spec.replicas,
            # One that is paused by hand would roll nothing out any more, and say nothing of it.
            "paused": False,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": PROGRESS_SECONDS,
            "selector": {"matchLabels": names.selector_labels(chatstream, "server")},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling_update(plan)},
            "template": {"metadata": _pod_metadata(plan), "spec": _pod_spec(plan)},
        },
    }


def _rolling_update(plan: Plan) -> Manifest:
    """With GPUs, drain and then replace: a surge pod would wait for a GPU that may never be free."""
    gpu = plan.chatstream.gpu_count > 0
    return {"maxSurge": 0, "maxUnavailable": 1} if gpu else {"maxSurge": 1, "maxUnavailable": 0}


def _pod_metadata(plan: Plan) -> Manifest:
    return {
        "labels": names.labels(plan.chatstream, "server"),
        "annotations": {
            "kubectl.kubernetes.io/default-container": "server",
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(names.METRICS_PORT),
            "prometheus.io/path": "/metrics",
            names.CONFIG_CHECKSUM: build_config_checksum(plan),
            names.KEYS_CHECKSUM: _secrets_checksum(plan),
        },
    }


def _secrets_checksum(plan: Plan) -> str:
    managed = plan.chatstream.session_store == "managed"
    return f"{plan.keys_checksum}-{plan.redis_checksum}" if managed else plan.keys_checksum


def _pod_spec(plan: Plan) -> Manifest:
    drain = plan.chatstream.spec.drain.timeout
    pull_secrets = [{"name": name} for name in plan.settings.image_pull_secrets]
    return {
        "serviceAccountName": plan.chatstream.name,
        "automountServiceAccountToken": False,
        # A Service called `prometheus` or `master` would put PROMETHEUS_PORT or MASTER_PORT into the engine.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": PRESTOP_SECONDS + round(drain) + SAVE_SECONDS,
        "securityContext": build_pod_security(SERVER_UID),
        **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
        "initContainers": [build_engine_container(plan)],
        "containers": [build_server_container(plan)],
        "volumes": [*build_server_volumes(plan), *build_engine_volumes(plan)],
    }
