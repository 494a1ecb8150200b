"""A Redis of the user's own: one that speaks TLS only, in a pod of the local cluster's image."""

import asyncio
import base64
import json
from pathlib import Path

from harness.kube import Kube, Manifest
from tests.fastersession.certificates import Authority

NAME = "mine"
PASSWORD = "only-for-tests-0123456789"
PORT = 6379
CONF = f"""\
port 0
tls-port {PORT}
tls-cert-file /etc/redis/tls.crt
tls-key-file /etc/redis/tls.key
tls-auth-clients no
requirepass {PASSWORD}
save ""
dir /tmp
"""


def url(namespace: str) -> str:
    return f"rediss://:{PASSWORD}@{NAME}.{namespace}.svc:{PORT}/0"


def build_secret(namespace: str, name: str, texts: dict[str, str]) -> Manifest:
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def build_redis(namespace: str, image: str, authority: Authority) -> list[Manifest]:
    """The pod, its Service and its Secret, with a certificate for the Service's name."""
    paths = authority.issue(f"{NAME}.{namespace}.svc")
    files = {
        "redis.conf": CONF,
        "tls.crt": paths.certificate.read_text(),
        "tls.key": paths.key.read_text(),
    }
    meta = {"name": NAME, "namespace": namespace, "labels": {"app": NAME}}
    ports = [{"name": "redis", "port": PORT, "targetPort": PORT}]
    service = {"selector": {"app": NAME}, "ports": ports}
    return [
        build_secret(namespace, f"{NAME}-files", files),
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": service},
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": _pod_spec(image)},
    ]


def _pod_spec(image: str) -> Manifest:
    container = {
        "name": "redis",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["redis-server", "/etc/redis/redis.conf"],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "files", "mountPath": "/etc/redis", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    user = {"runAsNonRoot": True, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999}
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {**user, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "files", "secret": {"secretName": f"{NAME}-files"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }


async def redis_image(kube: Kube) -> str:
    """The image that the operator gives a managed Redis; nothing else is there to be pulled."""
    deployment = await kube.get("deployment", "chatstream-operator", "chatstream-system")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    [image] = [e["value"] for e in container["env"] if e["name"] == "CHATSTREAM_OPERATOR_REDIS_IMAGE"]
    return str(image)


async def start_redis(kube: Kube, namespace: str, folder: Path) -> Authority:
    """Running, and ready; the authority that has signed its certificate."""
    authority = await asyncio.to_thread(Authority, folder)
    await kube.apply(*build_redis(namespace, await redis_image(kube), authority))
    await kube("wait", "--for=condition=Ready", f"pod/{NAME}", "-n", namespace, "--timeout=60s", limit=70)
    return authority


async def keys(kube: Kube, namespace: str) -> list[str]:
    """The names of all that it holds."""
    tls = ["--tls", "--insecure", "--no-auth-warning", "-a", PASSWORD]
    told = await kube("exec", NAME, "-n", namespace, "--", "redis-cli", *tls, "--json", "keys", "*")
    found: list[str] = json.loads(told)
    return found
