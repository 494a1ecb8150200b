"""The demonstration engine as a server that speaks TGI's protocol."""

from chatstream.engines.demo.server.main import main

__all__ = ["main"]
