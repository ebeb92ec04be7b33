"""What commands need to work: the newest tables, and connections with the rights of the server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.db.engine import create_engine
from app.db.migrate import migrate as apply_migrations

T = TypeVar("T")


def with_engine(settings: Settings, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """Do some work with the rights of the server, and close the connections afterwards."""
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()

    async def run() -> T:
        engine = create_engine(url, settings)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def migrated(settings: Settings) -> None:
    """Bring the database to the newest revision, with its owner's rights."""
    owner = settings.migration_database_url or settings.database_url
    assert owner is not None
    apply_migrations(owner.get_secret_value())
