"""Connections to PostgreSQL: bounded in number, in waiting time and in what their role may do."""

import asyncio
from contextlib import suppress
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.config import Settings

SERVER_ROLE = "account_management_server"
"""Taken on every connection; it can neither change tables nor alter history (see the first migration)."""
LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""How the driver tells that a connection could not be opened, or is gone."""


def async_url(url: str) -> URL:
    """The URL as SQLAlchemy wants it for asyncpg, whichever way the user wrote the scheme."""
    return make_url(url).set(drivername="postgresql+asyncpg")


class Unreachable(ConnectionError):
    """Nobody answers where the database should be; the text says where, and why."""


GRACE = 5.0
"""Seconds after `STATEMENT_TIMEOUT` in which PostgreSQL has to say that it has broken off a statement."""


async def open_connection(url: str, told: dict[str, Any], patience: float | None = None) -> Any:
    """A connection of the driver, which understands what libpq does behind a URL, such as `sslmode`.

    Its statements raise TimeoutError when there is no answer for so many seconds: then nobody may be there any more.
    Raises Unreachable, or an error of the driver when PostgreSQL refuses it.
    """
    address = async_url(url).set(drivername="postgresql")
    try:
        return await asyncpg.connect(
            address.render_as_string(hide_password=False),
            server_settings=told,
            timeout=10,
            command_timeout=patience,
        )
    except (OSError, asyncpg.ClientConfigurationError) as error:
        # An answer that did not come in time has no words of its own.
        text = str(error) or "no answer within 10 seconds"
        raise Unreachable(f"{address.host or 'the database'}: {text}") from error


def create_engine(url: str, settings: Settings, hurried: bool = True) -> AsyncEngine:
    """The pool of one process, which gives up who does not answer in time, unless it is not `hurried`."""
    within = patience(settings) if hurried else None
    engine = create_async_engine(
        async_url(url),
        async_creator=lambda: open_connection(url, server_settings(settings), within),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_pool_timeout,
        # Errors end up in the log, and parameters hold secrets and what people typed.
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "handle_error", _give_up_useless_connections)
    return engine


def _give_up_useless_connections(context: ExceptionContext) -> None:
    """Connections are opened anew where nobody answers, and to a database that can only be read: another one may have
    taken its place."""
    error = context.original_exception
    read_only = getattr(error, "sqlstate", None) == asyncpg.ReadOnlySQLTransactionError.sqlstate
    context.is_disconnect |= read_only or isinstance(error, TimeoutError)


async def disposed(engine: AsyncEngine) -> None:
    """Close the connections of an engine; who does not answer any more is left."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GRACE):
            await engine.dispose()


def patience(settings: Settings) -> float:
    """The seconds in which every statement of the server has an answer, if anybody is there."""
    return settings.statement_timeout + GRACE


async def connect_to_listen(settings: Settings, name: str = "account-management") -> Any:
    """A connection outside of the pool on which `LISTEN` works. Raises one of `LOST`."""
    given = settings.listen_database_url or settings.database_url
    assert given is not None
    return await open_connection(
        given.get_secret_value(), server_settings(settings) | {"application_name": name}
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
