"""The monitor of the engine's health outlives whatever an engine does."""

import pytest

from chatstream.api import EngineMonitor
from chatstream.engines import DemoEngine, EngineInfo
from chatstream.metrics import Metrics


class Broken(DemoEngine):
    async def info(self) -> EngineInfo:
        raise OverflowError("cannot convert float infinity to integer")


async def test_an_engine_that_raises_anything_is_up_without_a_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    monitor = EngineMonitor(Broken(), Metrics().engine_up)
    await monitor.ask()
    assert (monitor.up, monitor.model_id) == (True, None)
    assert "engine's model is not known" in caplog.messages
