"""Connections to PostgreSQL: bounded in number, in waiting time and in what their role may do."""

from typing import Any

import asyncpg
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.config import Settings

SERVER_ROLE = "account_management_server"
"""Taken on every connection; it can neither change tables nor alter history (see the first migration)."""
LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""How the driver tells that a connection could not be opened, or is gone."""


def async_url(url: str) -> URL:
    """The URL as SQLAlchemy wants it for asyncpg, whichever way the user wrote the scheme."""
    return make_url(url).set(drivername="postgresql+asyncpg")


def create_engine(url: str, settings: Settings) -> AsyncEngine:
    """The pool of one server process."""
    return create_async_engine(
        async_url(url),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_pool_timeout,
        # Errors end up in the log, and parameters hold secrets and what people typed.
        hide_parameters=True,
        connect_args={"server_settings": server_settings(settings), "timeout": 10},
    )


def server_settings(settings: Settings) -> dict[str, Any]:
    """What every connection is told when it is opened: its role and its limits."""
    return {
        "application_name": "account-management",
        "role": SERVER_ROLE,
        "timezone": "UTC",
        "statement_timeout": str(round(settings.statement_timeout * 1000)),
        "lock_timeout": str(round(settings.lock_timeout * 1000)),
        "idle_in_transaction_session_timeout": "30000",
    }


async def connect(url: str, settings: Settings, **told: str) -> Any:
    """A connection of the driver itself, which whoever opens it closes. Raises one of `LOST`."""
    return await asyncpg.connect(
        async_url(url).set(drivername="postgresql").render_as_string(hide_password=False),
        server_settings=server_settings(settings) | told,
        timeout=10,
    )


async def connect_to_listen(settings: Settings, **told: str) -> Any:
    """A connection on which `LISTEN` works, whatever stands before the others. Raises one of `LOST`."""
    given = settings.listen_database_url or settings.database_url
    assert given is not None
    return await connect(given.get_secret_value(), settings, **told)
