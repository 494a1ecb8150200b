"""All children of one ChatStream but the Secrets, in the order in which they are applied."""

from __future__ import annotations

from chatstream_operator.manifests.configmap import build_configmap
from chatstream_operator.manifests.deployment import build_deployment
from chatstream_operator.manifests.disruptionbudget import build_disruptionbudget
from chatstream_operator.manifests.modelcache import build_model_cache
from chatstream_operator.manifests.networkpolicy import build_redis_networkpolicy
from chatstream_operator.manifests.plan import Manifest, Plan
from chatstream_operator.manifests.redis import build_redis_statefulset
from chatstream_operator.manifests.service import build_redis_service, build_service
from chatstream_operator.manifests.serviceaccount import build_redis_serviceaccount, build_serviceaccount


def build_children(plan: Plan) -> list[Manifest]:
    """What a pod refers to comes before the pod."""
    cache = build_model_cache(plan)
    redis = plan.chatstream.session_store == "managed"
    return [
        build_serviceaccount(plan),
        build_configmap(plan),
        build_service(plan),
        *([cache] if cache else []),
        *(_build_redis(plan) if redis else []),
        build_deployment(plan),
        build_disruptionbudget(plan),
    ]


def _build_redis(plan: Plan) -> list[Manifest]:
    return [
        build_redis_serviceaccount(plan),
        build_redis_service(plan),
        build_redis_networkpolicy(plan),
        build_redis_statefulset(plan),
    ]
