"""kopf watches the ChatStreams, and does nothing else: no finalizers, no annotations, no state of its own."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import kopf

from chatstream_operator.settings import OperatorSettings
from chatstream_operator.spec import Key

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts the token, anew before it expires; kopf logs in again when one is refused."""


class Patience:
    """Back-offs without an end: where they end, so does kopf, and an API server may be away for long."""

    def __iter__(self) -> Iterator[float]:
        delay = 0.5
        while True:
            yield delay * (0.5 + 0.5 * random.random())  # noqa: S311 -- jitter
            delay = min(15.0, delay * 2.0)


def build_registry(changed: Callable[[Key], None]) -> kopf.OperatorRegistry:
    """changed: told the key of each ChatStream that came, changed or went."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event("chatstream.dev", "v1alpha1", "chatstreams", registry=registry)
    async def on_chatstream(namespace: str | None, name: str | None, **_: Any) -> None:  # noqa: ANN401 -- kopf's
        if namespace and name:
            changed(Key(namespace, name))

    @kopf.on.login(registry=registry)
    async def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 -- kopf's
        if os.environ.get("KUBECONFIG") or not os.environ.get("KUBERNETES_SERVICE_HOST"):
            return kopf.login_with_kubeconfig(**kwargs)
        return await asyncio.to_thread(read_account, os.environ, ACCOUNT)

    return registry


def read_account(environ: Mapping[str, str], folder: Path) -> kopf.ConnectionInfo:
    """The pod's service account, and the API server by its address: kopf's own reader needs DNS."""
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
    address = f"[{host}]" if ":" in host else host
    token = (folder / "token").read_text().strip()
    return kopf.ConnectionInfo(
        server=f"https://{address}:{port}", ca_path=str(folder / "ca.crt"), token=token
    )


def build_kopf_settings(settings: OperatorSettings) -> kopf.OperatorSettings:
    kopf_settings = kopf.OperatorSettings()
    kopf_settings.scanning.disabled = True
    kopf_settings.posting.enabled = False
    kopf_settings.watching.server_timeout = round(settings.watch_timeout)
    kopf_settings.watching.client_timeout = settings.watch_timeout + 30
    kopf_settings.watching.connect_timeout = 10
    kopf_settings.networking.request_timeout = settings.request_timeout
    kopf_settings.networking.connect_timeout = 10
    kopf_settings.networking.enforce_retry_after = True
    kopf_settings.networking.error_backoffs = Patience()
    kopf_settings.queueing.worker_limit = 32
    return kopf_settings


async def watch_chatstreams(
    registry: kopf.OperatorRegistry, settings: OperatorSettings, *, ready: asyncio.Event
) -> None:
    """Until SIGTERM or SIGINT: kopf listens for those itself. Raises what ends it before.

    It takes every task that is younger than itself for its own, and cancels it when it ends.
    """
    await kopf.operator(
        registry=registry,
        settings=build_kopf_settings(settings),
        standalone=True,
        clusterwide=True,
        ready_flag=ready,
    )
