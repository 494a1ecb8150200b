"""The NetworkPolicy of the managed Redis: conversations are for this ChatStream's own servers."""

from __future__ import annotations

from chatstream_operator.manifests import names
from chatstream_operator.manifests.plan import Manifest, Plan


def build_redis_networkpolicy(plan: Plan) -> Manifest:
    """In: the servers, to Redis' port; the kubelet's probes always may. Out: nothing, Redis asks nobody."""
    chatstream = plan.chatstream
    servers = {"podSelector": {"matchLabels": names.selector_labels(chatstream, "server")}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": names.metadata(chatstream, names.redis_name(chatstream), "redis"),
        "spec": {
            "podSelector": {"matchLabels": names.selector_labels(chatstream, "redis")},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [servers], "ports": [{"protocol": "TCP", "port": names.REDIS_PORT}]}],
            "egress": [],
        },
    }
