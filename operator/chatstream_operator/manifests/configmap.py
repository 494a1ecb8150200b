"""The ConfigMap: the server's settings file."""

from __future__ import annotations

import hashlib
from typing import Any

import yaml

from chatstream_operator.manifests import names
from chatstream_operator.manifests.plan import Manifest, Plan
from chatstream_operator.manifests.server import CONFIG_FILE, CONFIG_FOLDER, KEYS_FOLDER, REDIS_CA_FILE
from chatstream_operator.rotation import ABSOLUTE_TIMEOUT


def build_configmap(plan: Plan) -> Manifest:
    chatstream = plan.chatstream
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": names.metadata(chatstream, names.config_name(chatstream), "server"),
        "data": {CONFIG_FILE: _text(plan)},
    }


def build_config_checksum(plan: Plan) -> str:
    """Changes with the settings, and so rolls the pods."""
    return hashlib.sha256(_text(plan).encode()).hexdigest()[:16]


def build_server_config(plan: Plan) -> dict[str, Any]:
    """The server's settings, in its own names; durations in seconds. Of secrets, only the files."""
    spec = plan.chatstream.spec
    return {
        "host": "0.0.0.0",  # noqa: S104 -- a pod is reached by its address
        "port": names.HTTP_PORT,
        "metrics_port": names.METRICS_PORT,
        # Whatever reaches a pod came through the cluster; it is the ingress that knows the scheme.
        "trusted_proxies": ["*"],
        "log_level": "info",
        "engine": {"type": "tgi", "url": f"http://127.0.0.1:{names.ENGINE_PORT}"},
        "concurrency": {
            "max_concurrent": spec.concurrency.max_concurrent,
            "max_queued": spec.concurrency.max_queued,
            "queue_timeout": spec.concurrency.queue_timeout,
        },
        "sessions": _sessions(plan),
        "chat": _chat(plan),
        "drain": {"timeout": spec.drain.timeout},
    }


def _sessions(plan: Plan) -> dict[str, Any]:
    chatstream = plan.chatstream
    sessions = chatstream.spec.sessions
    url = f"redis://{names.redis_name(chatstream)}.{chatstream.namespace}.svc:{names.REDIS_PORT}/0"
    return {
        "store": sessions.store.lower(),
        **({"redis_url": url} if chatstream.session_store == "managed" else {}),
        **({"redis_ca_file": f"{CONFIG_FOLDER}/{REDIS_CA_FILE}"} if chatstream.redis_ca_ref else {}),
        "secret_keys_file": _key_file(names.SESSION_KEYS),
        **({"encryption_keys_file": _key_file(names.ENCRYPTION_KEYS)} if sessions.encrypt else {}),
        "idle_timeout": sessions.idle_timeout,
        "absolute_timeout": ABSOLUTE_TIMEOUT,
        "allowed_origins": list(sessions.allowed_origins),
        "cookie": {
            "secure": sessions.cookie.secure,
            "same_site": sessions.cookie.same_site.lower(),
            "partitioned": sessions.cookie.partitioned,
        },
    }


def _key_file(ring: str) -> str:
    return f"{CONFIG_FOLDER}/{KEYS_FOLDER}/{ring}"


def _chat(plan: Plan) -> dict[str, Any]:
    chat = plan.chatstream.spec.chat
    engine = plan.chatstream.spec.engine
    optional = {
        "system_prompt": chat.system_prompt,
        # Engines take no zero: without a temperature they are greedy, which is what zero means.
        "temperature": chat.temperature or None,
        "top_p": chat.top_p,
        "stop": chat.stop or None,
    }
    return {
        "template": plan.chatstream.template.lower(),
        "max_turns": chat.max_turns,
        "max_input_tokens": engine.max_input_tokens,
        "max_total_tokens": engine.max_total_tokens,
        "max_new_tokens": chat.max_new_tokens,
        **{key: value for key, value in optional.items() if value is not None},
    }


def _text(plan: Plan) -> str:
    return yaml.safe_dump(build_server_config(plan), sort_keys=False, allow_unicode=True, width=10_000)
