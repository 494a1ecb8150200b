"""The command line: `chatstream serve | dev | demo-engine`."""

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from chatstream.app.factory import build_service
from chatstream.app.log_output import configure_logging
from chatstream.app.serve import run
from chatstream.settings import (
    ConfigurationError,
    CookieSettings,
    EngineSettings,
    SessionSettings,
    Settings,
    load_settings,
)

DEMO_ENGINE = "demo-engine"


def main(argv: Sequence[str] | None = None) -> int:
    """0 after an orderly end, 2 for a command line or settings that cannot be used."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == [DEMO_ENGINE]:
        from chatstream.engines.demo.server import main as demo_engine  # not loaded for other commands

        return demo_engine(arguments[1:])
    options = build_parser().parse_args(arguments)
    try:
        settings = dev_settings(options.port) if options.command == "dev" else load_settings(options.config)
        configure_logging(settings.log_level)
        run(settings, build_service(settings))
    except ConfigurationError as error:
        print(f"chatstream: {error}", file=sys.stderr)
        return 2
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chatstream", description="Streaming chat over an inference engine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve as the settings say")
    serve.add_argument("--config", type=Path, help="a YAML or JSON file; else CHATSTREAM_CONFIG names it")
    dev = commands.add_parser("dev", help="serve on 127.0.0.1 with a demonstration engine, nothing to set up")
    dev.add_argument("--port", type=int, default=8080)
    commands.add_parser(DEMO_ENGINE, help="a TGI-speaking engine without a model", add_help=False)
    return parser


def dev_settings(port: int) -> Settings:
    """No GPU, Redis or metrics port; a key that dies with the process, a cookie that plain http returns."""
    return Settings(
        port=port,
        metrics_port=0,
        engine=EngineSettings(type="demo"),
        sessions=SessionSettings(
            secret_keys=[SecretStr(secrets.token_urlsafe(32))], cookie=CookieSettings(secure=False)
        ),
    )
