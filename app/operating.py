"""What commands need to work: the newest tables, and connections with the rights of the server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from app.config import Misconfigured, Settings
from app.db.engine import create_engine
from app.db.migrate import current_revision, is_of_newer_code, newest_revision
from app.db.migrate import migrate as apply_migrations
from app.db.trouble import DENIED_TO_OWNER, MIGRATE, NEWER_CODE, DatabaseTrouble, explained

T = TypeVar("T")


def with_engine(settings: Settings, work: Callable[[AsyncEngine], Awaitable[T]], hurried: bool = True) -> T:
    """Do some work with the rights of the server, and close the connections afterwards.

    What is not `hurried` may wait for others as long as it takes (see `locks.without_haste`).
    Raises DatabaseTrouble when the database is not as the work needs it.
    """
    if settings.database_url is None:
        raise Misconfigured("MIGRATION_DATABASE_URL is set without DATABASE_URL: set that as well.")
    url = settings.database_url.get_secret_value()

    async def run() -> T:
        engine = create_engine(url, settings, hurried)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    with explained():
        return asyncio.run(run())


async def require_newest_tables(engine: AsyncEngine) -> None:
    """Raises DatabaseTrouble when the tables are not those of this code: what is half done there is done again."""
    async with engine.connect() as connection:
        current = await current_revision(connection)
    if current != newest_revision():
        advice = NEWER_CODE if is_of_newer_code(current) else MIGRATE
        raise DatabaseTrouble(f"revision {current or 'none'} of the tables", advice)


def migrated(settings: Settings) -> None:
    """Bring the database to the newest revision, with its owner's rights. Raises DatabaseTrouble."""
    owner = settings.migration_database_url or settings.database_url
    assert owner is not None
    name = "MIGRATION_DATABASE_URL" if settings.migration_database_url else "DATABASE_URL"
    with explained(name, DENIED_TO_OWNER):
        apply_migrations(owner.get_secret_value())
