"""The routes: the public ones, and those of the metrics port."""

from chatstream.api.health import EngineMonitor
from chatstream.api.inner import StatusSource, build_inner_routes
from chatstream.api.public import build_public_router

__all__ = ["EngineMonitor", "StatusSource", "build_inner_routes", "build_public_router"]
