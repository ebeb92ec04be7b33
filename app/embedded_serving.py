"""The process that serves where no `DATABASE_URL` is given: over the embedded PostgreSQL, which ends with it."""

import os
import signal
import sys

from app import serving
from app.db.embedded import settings_with_database


def serve(workers: int) -> None:
    """Start the embedded PostgreSQL, serve from so many processes, and stop it."""
    # Being asked to end must not end us before the embedded PostgreSQL is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with settings_with_database() as settings:
        # The server, and worker processes, read the settings again, so they must find this database there.
        assert settings.database_url is not None
        os.environ["DATABASE_URL"] = settings.database_url.get_secret_value()
        serving.serve(workers, settings)


if __name__ == "__main__":
    try:
        serve(int(sys.argv[1]))
    except KeyboardInterrupt:
        # Whoever presses Ctrl-C while this starts wants it to end, and to read nothing.
        sys.exit(130)
