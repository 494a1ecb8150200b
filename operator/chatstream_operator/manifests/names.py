"""Names, labels and annotations of all children, in one place."""

from __future__ import annotations

from typing import Any, Literal

from chatstream_operator.spec import ChatStream

Component = Literal["server", "redis"]

MANAGER = "chatstream-operator"
MANAGED_BY = "app.kubernetes.io/managed-by"
OWNER_NAME = "chatstream.dev/name"
HASH_ANNOTATION = "chatstream.dev/applied-hash"
CONFIG_CHECKSUM = "chatstream.dev/config-checksum"
KEYS_CHECKSUM = "chatstream.dev/keys-checksum"
KEY_ROTATION = "chatstream.dev/key-rotation"
"""On the Secret of the keys: how far their rotation is, as rotation.State writes it."""

HTTP_PORT = 8080
METRICS_PORT = 9090
ENGINE_PORT = 3000
REDIS_PORT = 6379

SESSION_KEYS = "session-keys"
ENCRYPTION_KEYS = "encryption-keys"
RINGS = (SESSION_KEYS, ENCRYPTION_KEYS)
ENGINE_API_KEY = "engine-api-key"
REDIS_PASSWORD = "password"  # noqa: S105 -- the name of a key in a Secret
REDIS_CONF = "redis.conf"


def config_name(chatstream: ChatStream) -> str:
    return f"{chatstream.name}-config"


def keys_name(chatstream: ChatStream) -> str:
    return f"{chatstream.name}-keys"


def ring_names(chatstream: ChatStream) -> tuple[str, ...]:
    """The rings of keys in the Secret: servers read them as files, and follow their changes."""
    return (SESSION_KEYS, ENCRYPTION_KEYS) if chatstream.spec.sessions.encrypt else (SESSION_KEYS,)


def redis_name(chatstream: ChatStream) -> str:
    return f"{chatstream.name}-redis"


def cache_name(chatstream: ChatStream) -> str:
    return f"{chatstream.name}-model-cache"


def selector_labels(chatstream: ChatStream, component: Component) -> dict[str, str]:
    """The labels that select pods; they never change."""
    return {
        "app.kubernetes.io/name": "chatstream",
        "app.kubernetes.io/instance": chatstream.name,
        "app.kubernetes.io/component": component,
    }


def labels(chatstream: ChatStream, component: Component) -> dict[str, str]:
    return {
        **selector_labels(chatstream, component),
        "app.kubernetes.io/part-of": "chatstream",
        MANAGED_BY: MANAGER,
        OWNER_NAME: chatstream.name,
    }


def selector_text(chatstream: ChatStream) -> str:
    """The selector of the server's pods as a string, for the scale subresource."""
    return ",".join(f"{key}={value}" for key, value in selector_labels(chatstream, "server").items())


def metadata(chatstream: ChatStream, name: str, component: Component) -> dict[str, Any]:
    """metadata of a child: labelled, and owned by the ChatStream."""
    return {
        "name": name,
        "namespace": chatstream.namespace,
        "labels": labels(chatstream, component),
        "ownerReferences": [chatstream.owner_reference],
    }
