"""Logging: one line an event, for people or for machines."""

import logging
import sys

import structlog


def configure_logging(log_format: str) -> None:
    """Write log lines as `console` or as `json`, from information upwards."""
    # Tracebacks without the values of variables, which hold tokens and what people typed.
    plain = structlog.dev.plain_traceback
    renderer: structlog.types.Processor = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=plain
    )
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.StackInfoRenderer(),
            *([structlog.processors.format_exc_info] if log_format == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
