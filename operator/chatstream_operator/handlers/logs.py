"""Logs: one JSON object a line on standard output, our own and those of the libraries."""

from __future__ import annotations

import logging
import sys

import structlog

from chatstream_operator.settings import LogLevel


def configure_logs(level: LogLevel) -> None:
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    render = structlog.processors.JSONRenderer()
    clean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[clean, render])
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # kopf tells of each event that it takes; ours are the ones that count.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
