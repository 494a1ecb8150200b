"""The StatefulSet of the managed Redis."""

from __future__ import annotations

from chatstream_operator.manifests import names
from chatstream_operator.manifests.plan import Manifest, Plan
from chatstream_operator.manifests.security import REDIS_UID, build_container_security, build_pod_security

DEFAULT_STORAGE = "1Gi"


def build_redis_statefulset(plan: Plan) -> Manifest:
    chatstream = plan.chatstream
    name = names.redis_name(chatstream)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": names.metadata(chatstream, name, "redis"),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 3,
            "serviceName": name,
            "selector": {"matchLabels": names.selector_labels(chatstream, "redis")},
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Retain" if chatstream.spec.sessions.retain else "Delete",
                "whenScaled": "Retain",
            },
            "template": {"metadata": _pod_metadata(plan), "spec": _pod_spec(plan)},
            "volumeClaimTemplates": [_claim(plan)],
        },
    }


def _pod_metadata(plan: Plan) -> Manifest:
    return {
        "labels": names.labels(plan.chatstream, "redis"),
        "annotations": {names.KEYS_CHECKSUM: plan.redis_checksum},
    }


def _pod_spec(plan: Plan) -> Manifest:
    name = names.redis_name(plan.chatstream)
    pull_secrets = [{"name": secret} for secret in plan.settings.image_pull_secrets]
    conf = {"secretName": name, "items": [{"key": names.REDIS_CONF, "path": names.REDIS_CONF}]}
    return {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": build_pod_security(REDIS_UID),
        **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
        "containers": [_container(plan)],
        "volumes": [{"name": "conf", "secret": conf}, {"name": "tmp", "emptyDir": {}}],
    }


def _container(plan: Plan) -> Manifest:
    password = {"name": names.redis_name(plan.chatstream), "key": names.REDIS_PASSWORD}
    return {
        "name": "redis",
        "image": plan.settings.redis_image,
        "imagePullPolicy": plan.settings.image_pull_policy,
        "command": ["redis-server", f"/etc/redis/{names.REDIS_CONF}"],
        "env": [{"name": "REDISCLI_AUTH", "valueFrom": {"secretKeyRef": password}}],
        "ports": [{"name": "redis", "containerPort": names.REDIS_PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "startupProbe": _ping(period=1, failures=120),
        "readinessProbe": _ping(period=5, failures=2),
        "livenessProbe": {"tcpSocket": {"port": "redis"}, "periodSeconds": 10, "failureThreshold": 3},
        "securityContext": build_container_security(),
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "conf", "mountPath": "/etc/redis", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- an emptyDir of the pod's own
        ],
    }


def _ping(*, period: int, failures: int) -> Manifest:
    # redis-cli ends with 0 even where Redis answers that it still loads its data.
    command = ["sh", "-c", 'test "$(redis-cli ping)" = PONG']
    return {
        "exec": {"command": command},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _claim(plan: Plan) -> Manifest:
    redis = plan.chatstream.spec.sessions.redis
    size = (redis.storage_size if redis else None) or DEFAULT_STORAGE
    storage_class = redis.storage_class_name if redis else None
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "labels": names.labels(plan.chatstream, "redis")},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            **({"storageClassName": storage_class} if storage_class else {}),
            "resources": {"requests": {"storage": size}},
        },
    }
