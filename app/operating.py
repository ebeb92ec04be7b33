"""What commands need to work: the settings, a database, and connections to it with the rights of the server."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Settings
from app.db.embedded import embedded_postgresql
from app.db.engine import create_engine
from app.db.migrate import migrate as apply_migrations

T = TypeVar("T")


@contextmanager
def settings_with_database() -> Iterator[Settings]:
    """The settings, with an embedded PostgreSQL running where they name no database."""
    settings = Settings()
    if settings.database_url:
        yield settings
        return
    with embedded_postgresql(settings.data_directory / "postgresql") as url:
        yield settings.model_copy(update={"database_url": SecretStr(url)})


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
