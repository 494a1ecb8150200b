"""The ChatStream that a test starts from, and the ways in which tests vary it."""

from typing import Any

from harness.kube import Manifest

Spec = dict[str, Any]


def merged(base: Spec, changes: Spec) -> Spec:
    """`base` with `changes` laid over it, mappings joined and everything else replaced."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def build_chatstream(namespace: str, name: str, **changes: object) -> Manifest:
    """Engine Demo without a GPU, one replica, cookies for plain HTTP; `changes` are merged into the spec."""
    spec: Spec = {
        "model": {"id": "demo/echo"},
        "engine": {"type": "Demo", "gpu": {"count": 0}},
        "sessions": {"cookie": {"secure": False}},
    }
    return {
        "apiVersion": "chatstream.dev/v1alpha1",
        "kind": "ChatStream",
        "metadata": {"name": name, "namespace": namespace},
        "spec": merged(spec, changes),
    }
