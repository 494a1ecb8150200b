"""Builders: pure functions from a Plan to plain dicts, one Kubernetes kind a file."""

from chatstream_operator.manifests.children import build_children
from chatstream_operator.manifests.plan import Manifest, Plan
from chatstream_operator.manifests.secret import build_keys_secret, build_redis_secret

__all__ = ["Manifest", "Plan", "build_children", "build_keys_secret", "build_redis_secret"]
