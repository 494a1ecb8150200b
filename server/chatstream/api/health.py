"""Whether the engine is up, asked in the background so that no probe waits for it."""

import asyncio

from prometheus_client import Gauge

from chatstream.engines import Engine
from chatstream.errors import EngineError
from chatstream.logs import get_logger

log = get_logger(__name__)

ASK_UP, ASK_DOWN = 5.0, 1.0
"""Seconds between two questions."""
LONGEST_ANSWER = 3.0


class EngineMonitor:
    """`up` and `model_id` as last heard; nothing is up before the first answer."""

    def __init__(self, engine: Engine, gauge: Gauge) -> None:
        self._engine = engine
        self._gauge = gauge
        self._task: asyncio.Task[None] | None = None
        self.up = False
        self.model_id: str | None = None
        gauge.set(0)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def ask(self) -> None:
        """Ask once. Never raises, and takes no longer than two answers may."""
        up = await self._healthy()
        if up and self.model_id is None:
            await self._learn()
        if up != self.up:
            log.info("engine is up" if up else "engine is down", model_id=self.model_id)
        self.up = up
        self._gauge.set(up)

    async def _run(self) -> None:
        while True:
            await self.ask()
            await asyncio.sleep(ASK_UP if self.up else ASK_DOWN)

    async def _healthy(self) -> bool:
        try:
            async with asyncio.timeout(LONGEST_ANSWER):
                return await self._engine.healthy()
        except Exception:
            # By contract it never raises; an engine that does is none to be relied on, the monitor must live.
            log.exception("engine's health check failed")
            return False

    async def _learn(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_ANSWER):
                self.model_id = (await self._engine.info()).model_id
        except (EngineError, TimeoutError) as error:
            log.warning("engine does not tell its model", error=str(error))
        except Exception:
            # As above: without the monitor no pod becomes ready again.
            log.exception("engine's model is not known")
