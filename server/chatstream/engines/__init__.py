"""Engines: what generates the text, behind one seam (`Engine`, `EngineStream`)."""

from chatstream.engines.base import (
    Batch,
    Engine,
    EngineInfo,
    EngineStream,
    FinishReason,
    GenerationEnd,
    GenerationRequest,
)
from chatstream.engines.demo import DemoEngine
from chatstream.engines.tgi import TGIEngine

__all__ = [
    "Batch",
    "DemoEngine",
    "Engine",
    "EngineInfo",
    "EngineStream",
    "FinishReason",
    "GenerationEnd",
    "GenerationRequest",
    "TGIEngine",
]
