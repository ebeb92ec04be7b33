"""Starts worker processes as fast as they are killed: imports everything once, then forks for every line it reads.

Answers each line with the process id of a new worker. The settings stand in the environment.
"""

import asyncio
import os
import sys

from app.config import Settings
from app.db.engine import create_engine
from app.messages.delivery import MailServer, delivery_of
from app.messages.worker import Worker


async def work() -> None:
    """What `account-management messages work` does, until killed; its name tells which process it is."""
    settings = Settings()
    assert settings.database_url is not None
    engine = create_engine(settings.database_url.get_secret_value(), settings)
    delivery = delivery_of(settings)
    assert isinstance(delivery, MailServer)
    delivery.own_name = f"worker-{os.getpid()}"
    await Worker(engine, settings, delivery).run()


def main() -> None:
    """Fork a worker for every line; the kernel buries those that are killed."""
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            # Workers log to the standard output, on which the process ids are told.
            sys.stdin.close()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            asyncio.run(work())
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
