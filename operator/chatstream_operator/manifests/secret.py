"""The Secrets: made once from fresh random bytes, which the caller gives. Only a rotation changes keys."""

from __future__ import annotations

import base64
from collections.abc import Callable

from chatstream_operator.manifests import names
from chatstream_operator.manifests.plan import Manifest
from chatstream_operator.rotation import State, write_ring
from chatstream_operator.spec import ChatStream

NewSecret = Callable[[], str]
"""Gives 32 fresh random bytes, as text that is safe in a URL."""

REDIS_CONF = """\
bind * -::*
protected-mode yes
port {port}
dir /data
requirepass {password}
save ""
appendonly yes
appendfsync everysec
no-appendfsync-on-rewrite no
aof-load-truncated yes
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb
maxmemory 256mb
maxmemory-policy noeviction
"""


def build_keys_secret(chatstream: ChatStream, new_secret: NewSecret) -> Manifest:
    """Rings of keys as JSON lists, of which the first key is used; and the key of the engine's port.

    Whoever asks for a rotation before there are keys has it done with the first ones.

    Sessions that are retained are reached with cookies that these keys have signed: then the Secret has no
    owner, and stays when the ChatStream goes.
    """
    rings = {name: write_ring((new_secret(),)) for name in names.ring_names(chatstream)}
    data = {**rings, names.ENGINE_API_KEY: new_secret()}
    secret = _secret(chatstream, names.keys_name(chatstream), "server", data)
    if chatstream.rotation_request:
        state = State(handled=chatstream.rotation_request)
        secret["metadata"]["annotations"] = {names.KEY_ROTATION: state.write()}
    if chatstream.spec.sessions.retain:
        del secret["metadata"]["ownerReferences"]
    return secret


def build_redis_secret(chatstream: ChatStream, new_secret: NewSecret) -> Manifest:
    """The password, and the configuration that holds it: a ConfigMap would show it."""
    password = new_secret()
    conf = REDIS_CONF.format(port=names.REDIS_PORT, password=password)
    data = {names.REDIS_PASSWORD: password, names.REDIS_CONF: conf}
    return _secret(chatstream, names.redis_name(chatstream), "redis", data)


def _secret(chatstream: ChatStream, name: str, component: names.Component, data: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": names.metadata(chatstream, name, component),
        "type": "Opaque",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }
