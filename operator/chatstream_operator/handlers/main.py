"""The process: settings, logs, client; then the operator."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from chatstream_operator.handlers.app import Operator
from chatstream_operator.handlers.logs import configure_logs
from chatstream_operator.kube.client import KubeClient
from chatstream_operator.kube.configuration import load_configuration
from chatstream_operator.reconcile import HttpProber
from chatstream_operator.settings import OperatorSettings


def main() -> None:
    """Runs until SIGTERM or SIGINT. Raises pydantic's ValidationError where a setting is wrong."""
    settings = OperatorSettings()
    configure_logs(settings.log_level)
    asyncio.run(run(settings))


async def run(settings: OperatorSettings) -> None:
    client = KubeClient(
        await load_configuration(),
        request_timeout=settings.request_timeout,
        watch_timeout=settings.watch_timeout,
    )
    async with aclosing(client), aclosing(HttpProber()) as prober:
        await Operator(settings, client, prober).run()
