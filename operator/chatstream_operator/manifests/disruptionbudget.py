"""The PodDisruptionBudget: a node's drain takes one pod at a time, and is never blocked by a broken one."""

from __future__ import annotations

from chatstream_operator.manifests import names
from chatstream_operator.manifests.plan import Manifest, Plan


def build_disruptionbudget(plan: Plan) -> Manifest:
    chatstream = plan.chatstream
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": names.metadata(chatstream, chatstream.name, "server"),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": names.selector_labels(chatstream, "server")},
        },
    }
