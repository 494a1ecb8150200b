"""The ServiceAccounts: identities without rights and without a token."""

from __future__ import annotations

from chatstream_operator.manifests import names
from chatstream_operator.manifests.plan import Manifest, Plan


def build_serviceaccount(plan: Plan) -> Manifest:
    return _serviceaccount(plan, plan.chatstream.name, "server")


def build_redis_serviceaccount(plan: Plan) -> Manifest:
    return _serviceaccount(plan, names.redis_name(plan.chatstream), "redis")


def _serviceaccount(plan: Plan, name: str, component: names.Component) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": names.metadata(plan.chatstream, name, component),
        "automountServiceAccountToken": False,
    }
