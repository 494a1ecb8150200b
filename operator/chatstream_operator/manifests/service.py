"""The Services: the chat's, and the managed Redis'."""

from __future__ import annotations

from chatstream_operator.manifests import names
from chatstream_operator.manifests.plan import Manifest, Plan


def build_service(plan: Plan) -> Manifest:
    port = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
    return _service(plan, plan.chatstream.name, "server", port)


def build_redis_service(plan: Plan) -> Manifest:
    port = {"name": "redis", "port": names.REDIS_PORT, "targetPort": "redis", "protocol": "TCP"}
    return _service(plan, names.redis_name(plan.chatstream), "redis", port)


def _service(plan: Plan, name: str, component: names.Component, port: Manifest) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": names.metadata(plan.chatstream, name, component),
        "spec": {
            "type": "ClusterIP",
            "selector": names.selector_labels(plan.chatstream, component),
            "ports": [port],
        },
    }
