"""The demonstration engine: no GPU, no model; in process, or as a server that speaks TGI's protocol."""

from chatstream.engines.demo.engine import DemoEngine, DemoStats
from chatstream.engines.demo.script import Reply, Script, Token, load_script

__all__ = ["DemoEngine", "DemoStats", "Reply", "Script", "Token", "load_script"]
