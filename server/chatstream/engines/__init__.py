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

__all__ = [
    "Batch",
    "Engine",
    "EngineInfo",
    "EngineStream",
    "FinishReason",
    "GenerationEnd",
    "GenerationRequest",
]
