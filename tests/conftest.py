"""A real PostgreSQL, migrated once per worker, and the real application over it."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from httpx2 import ASGITransport, AsyncClient
from hypothesis import settings as examples
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from starlette.applications import Starlette
from starlette.routing import Route

from app.config import Settings
from app.db.embedded import embedded_postgresql
from app.db.engine import async_url, create_engine
from app.db.migrate import migrate
from app.db.pool import Pool
from app.server import create_app
from tests.world import World

# How long an example takes says something of the machine, not of what is tested.
examples.register_profile("untimed", deadline=None)
examples.load_profile("untimed")

CARELESS = ("fsync", "full_page_writes", "synchronous_commit")
"""What PostgreSQL does for the sake of power cuts only."""
MEMORY = Path("/dev/shm")  # noqa: S108 - the folders in it are made with names of their own
"""A file system in memory, as Linux has it."""
ROOM = 4 * 2**30
"""The bytes that have to be free there for a database to be put in it."""


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A PostgreSQL server: the one in DATABASE_URL, or an embedded one of this worker's own."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return
    # Not below pytest's own folder: as root, PostgreSQL runs as another user, who may not enter there. In memory, a
    # database is made ten times as fast.
    place = MEMORY if MEMORY.is_dir() and disk_usage(MEMORY).free >= ROOM else None
    with (
        TemporaryDirectory(prefix="postgresql-", dir=place) as folder,
        embedded_postgresql(Path(folder)) as url,
    ):
        # Tests may lose their data in a power cut; in exchange they do not wait for the disk.
        careless = [f"ALTER SYSTEM SET {name} = off" for name in CARELESS]
        asyncio.run(administer(url, *careless, "SELECT pg_reload_conf()"))
        yield url


async def administer(url: str, *statements: str) -> None:
    """Run statements that cannot run inside a transaction."""
    engine = create_async_engine(async_url(url), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


def in_database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return async_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """The name of a migrated database that nobody connects to, to be copied."""
    name = f"template_{uuid4().hex}"
    asyncio.run(administer(server_url, f"CREATE DATABASE {name}"))
    migrate(in_database(server_url, name))
    yield name
    asyncio.run(administer(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def database_url(server_url: str, template: str) -> Iterator[str]:
    """The database that the tests of this worker share; each test makes its own sites and people in it."""
    name = f"test_{uuid4().hex}"
    asyncio.run(administer(server_url, f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield in_database(server_url, name)
    asyncio.run(administer(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def settings(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a development server on the shared database."""
    return Settings(
        database_url=database_url,
        development=True,
        data_directory=tmp_path_factory.mktemp("data"),
        database_pool_size=15,
        database_pool_timeout=30,
        lock_timeout=30,
        statement_timeout=30,
        # The tests of webhooks have workers of their own.
        webhook_worker=False,
        # Tests of messages have workers of their own; to others, a message is what stands in the outbox.
        message_worker=False,
        # Tests of the use of privileges write it down themselves; to others, nothing is written between times.
        privilege_use_interval=100_000,
    )


@pytest.fixture(scope="session")
async def database(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """A pool with the rights of the server."""
    assert settings.database_url is not None
    engine = create_engine(settings.database_url.get_secret_value(), settings)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    """Connections such as those that requests are answered with."""
    assert settings.database_url is not None
    pool = Pool(settings.database_url.get_secret_value(), settings)
    yield pool
    await pool.close()


@pytest.fixture
async def empty_database(server_url: str, template: str, settings: Settings) -> AsyncIterator[AsyncEngine]:
    """A migrated database of the test's own, with nothing in it."""
    name = f"empty_{uuid4().hex}"
    await administer(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    engine = create_engine(in_database(server_url, name), settings)
    yield engine
    await engine.dispose()
    await administer(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
async def lone_database(server_url: str, template: str, settings: Settings) -> AsyncIterator[AsyncEngine]:
    """A database for tests that look at everything in it, emptied before each by `emptied_database`."""
    name = f"lone_{uuid4().hex}"
    await administer(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    engine = create_engine(in_database(server_url, name), settings)
    yield engine
    await engine.dispose()
    await administer(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def emptied_database(lone_database: AsyncEngine) -> AsyncEngine:
    """A database with nothing in it but the history of earlier tests; much sooner there than a new one."""
    tables = 'site, "user"'
    await administer(lone_database.url.render_as_string(hide_password=False), f"TRUNCATE {tables} CASCADE")
    return lone_database


@pytest.fixture(scope="session")
async def app(settings: Settings) -> AsyncIterator[Starlette]:
    """The application. Whatever all tests have asked of it, its engine has planned everything but introspection."""
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application
    engine = next(route.endpoint.execution.engine for route in application.routes if isinstance(route, Route))
    assert set(engine.unplanned) <= {"introspection"}, engine.unplanned


@pytest.fixture(scope="session")
async def client(app: Starlette) -> AsyncIterator[AsyncClient]:
    """Speaks HTTP with the application."""
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as http:
        yield http


@pytest.fixture(scope="session")
def world(database: AsyncEngine, client: AsyncClient, settings: Settings) -> World:
    """Makes sites and people, and lets people call."""
    return World(database, client, settings)


@pytest.fixture(scope="module")
async def interpreted_world(database: AsyncEngine, settings: Settings) -> AsyncIterator[World]:
    """The same world, asked with the engine off: all reads go through graphql-core.

    It ends with its module: PostgreSQL has a hundred connections for all.
    """
    own = settings.model_copy(update={"read_engine": False})
    application = create_app(own)
    async with (
        application.router.lifespan_context(application),
        AsyncClient(transport=ASGITransport(app=application), base_url="http://test") as client,
    ):
        yield World(database, client, own)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the project."""
    return Path(__file__).parent.parent
