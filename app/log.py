"""Logging: one line an event, for people or for machines."""

import logging
import sys
from typing import Any

import structlog


def configure_logging(log_format: str) -> None:
    """Write log lines as `console` or as `json`, from information upwards."""
    structlog.configure(
        processors=_processors(log_format),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def lines_of_libraries(log_format: str) -> dict[str, Any]:
    """What `logging.config` has to know so that the server and its libraries log in the same form."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": {"()": "app.log.formatter", "log_format": log_format}},
        "handlers": {
            "ours": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "ours"}
        },
        "root": {"handlers": ["ours"], "level": "WARNING"},
    }


def formatter(log_format: str) -> logging.Formatter:
    """What makes a line of ours of what a library logs."""
    lean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(processors=[lean, *_processors(log_format)])


def _processors(log_format: str) -> list[structlog.types.Processor]:
    """From what is logged to a line."""
    # Tracebacks without the values of variables, which hold tokens and what people typed.
    plain = structlog.dev.plain_traceback
    renderer: structlog.types.Processor = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=plain
    )
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.StackInfoRenderer(),
        *([structlog.processors.format_exc_info] if log_format == "json" else []),
        renderer,
    ]
