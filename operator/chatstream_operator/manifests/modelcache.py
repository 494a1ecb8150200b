"""The PersistentVolumeClaim that keeps the downloaded model."""

from __future__ import annotations

from chatstream_operator.manifests import names
from chatstream_operator.manifests.plan import Manifest, Plan


def build_model_cache(plan: Plan) -> Manifest | None:
    """None where the resource asks for no cache, or the engine is no TGI."""
    chatstream = plan.chatstream
    model = chatstream.spec.model
    if chatstream.spec.engine.type != "TGI" or model is None or model.cache is None:
        return None
    storage_class = model.cache.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": names.metadata(chatstream, names.cache_name(chatstream), "server"),
        "spec": {
            "accessModes": [model.cache.access_mode],
            **({"storageClassName": storage_class} if storage_class else {}),
            "resources": {"requests": {"storage": model.cache.size}},
        },
    }
