"""Logging: one line an event, for people or for machines."""

import logging
import sys

import structlog


def configure_logging(log_format: str) -> None:
    """Write log lines as `console` or as `json`, from information upwards."""
    structlog.configure(
        processors=_processors(log_format),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def formatter(log_format: str) -> logging.Formatter:
    """What gives the lines of the server and of libraries the same form (see `serving`)."""
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
