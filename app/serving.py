"""The process that serves, with nothing in its memory that only other commands need."""

import os
import signal
import sys

import uvicorn

from app.db.embedded import settings_with_database
from app.http_protocol import HttpProtocol


def command(workers: int) -> list[str]:
    """How this process is started."""
    return [sys.executable, "-m", __name__, str(workers)]


def serve(workers: int) -> None:
    """Serve the API from so many processes, until told to end."""
    # Being asked to end must not end us before the embedded PostgreSQL is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with settings_with_database() as settings:
        # Worker processes are started anew and read the settings again, so they must find this database there.
        assert settings.database_url is not None
        os.environ["DATABASE_URL"] = settings.database_url.get_secret_value()
        uvicorn.run(
            "app.server:create_app",
            factory=True,
            host=settings.host,
            port=settings.port,
            workers=workers,
            loop="auto" if sys.platform == "win32" else "uvloop",
            http=HttpProtocol,
            server_header=False,
            # One more byte than is taken, so that it is we who say what is wrong with a message.
            ws_max_size=settings.request_size_limit + 1,
            ws_per_message_deflate=False,
            # Subscriptions end only when somebody ends them; their clients come back to another process.
            timeout_graceful_shutdown=5,
            log_level="warning",
        )


if __name__ == "__main__":
    serve(int(sys.argv[1]))
