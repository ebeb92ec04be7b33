"""Runs migrations over asyncpg, each in its transaction, without waiting long for a lock."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

# The metadata has to know all tables.
from app.db import (  # noqa: F401
    nominations,
    outbox,
    preferences,
    privilege_uses,
    repeats,
    site_rules,
    webhooks,
)
from app.db.base import Base
from app.db.engine import async_url, open_connection


def run(connection: Connection) -> None:
    """Apply the migrations on an open connection."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


MIGRATING = 5_417_312
"""The lock of whoever migrates; others wait, and then find nothing left to do."""
TURN = (
    # Whatever the owner's statements are allowed elsewhere: large tables take their time.
    "SET statement_timeout = 0",
    "SET lock_timeout = 0",
    f"SELECT pg_advisory_lock({MIGRATING})",
    "SET lock_timeout = '5s'",
)


async def connect() -> None:
    """Open the one connection that migrations need, and wait for our turn."""
    url = context.config.attributes["url"]
    engine = create_async_engine(
        async_url(url),
        poolclass=NullPool,
        async_creator=lambda: open_connection(url, {}),
    )
    async with engine.connect() as connection:
        for statement in TURN:
            await connection.exec_driver_sql(statement)
        await connection.commit()
        await connection.run_sync(run)
    await engine.dispose()


asyncio.run(connect())
