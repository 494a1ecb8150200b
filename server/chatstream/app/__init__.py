"""Wiring: from settings to a running server."""

from chatstream.app.factory import Service, build_service, create_app

__all__ = ["Service", "build_service", "create_app"]
