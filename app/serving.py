"""The process that serves, with nothing in its memory that only others need. It is run, and no other may import it."""

import os
import signal
import sys
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from app.config import Settings
from app.http_protocol import HttpProtocol

# The logs' library would load it, where it is installed, to decorate tracebacks; ours are plain (see app/log.py).
sys.modules["rich"] = None  # type: ignore[assignment]
# A WebSocket's handshake may have a long token as well; the library of WebSockets reads this when it is loaded.
os.environ.setdefault("WEBSOCKETS_MAX_LINE_LENGTH", "65536")


def serve(workers: int, settings: Settings) -> None:
    """Serve the API from so many processes, until told to end, which is a success."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    options = _options(workers, settings)
    if workers == 1:
        uvicorn.run(**options)
    else:
        config = uvicorn.Config(**options)
        Workers(config, [config.bind_socket()]).run()


class Workers(Multiprocess):
    """Processes that listen together."""

    def terminate_all(self) -> None:
        """End them all. Who comes meanwhile is refused at once; they would wait for the last process, and in vain."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def _options(workers: int, settings: Settings) -> dict[str, Any]:
    return {
        "app": "app.server:create_app",
        "factory": True,
        "host": settings.host,
        "port": settings.port,
        "workers": workers,
        "loop": "auto" if sys.platform == "win32" else "uvloop",
        "http": HttpProtocol,
        # By its name, since the library of WebSockets must not be loaded before.
        "ws": "app.websocket_protocol:WebSocketProtocol",
        "server_header": False,
        # One more byte than is taken, so that it is we who say what is wrong with a message.
        "ws_max_size": settings.request_size_limit + 1,
        "ws_per_message_deflate": False,
        # Subscriptions end only when somebody ends them; their clients come back to another process.
        "timeout_graceful_shutdown": 5,
        "log_config": _logging(settings.log_format),
        "log_level": "warning",
        "access_log": False,
    }


def _logging(log_format: str) -> dict[str, Any]:
    """Warnings of the server and of libraries have the form of our own lines."""
    # By its name as well, since it loads the logs' library.
    ours = {"()": "app.log.formatter", "log_format": log_format}
    handler = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "ours"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": ours},
        "handlers": {"ours": handler},
        "root": {"handlers": ["ours"], "level": "WARNING"},
    }


if __name__ == "__main__":
    try:
        serve(int(sys.argv[1]), Settings())
    except KeyboardInterrupt:
        # Whoever presses Ctrl-C while this starts wants it to end, and to read nothing.
        sys.exit(130)
