"""The databases that are measured: a PostgreSQL of the benchmark's own, migrated, filled and settled."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import psutil

from app.db.embedded import embedded_postgresql
from app.db.engine import async_url
from app.db.migrate import migrate

MEMBERS, BIG = 60, 500
"""Members of every site, and of the one large site after them."""
SETTINGS = {
    # All contestants alike: nothing waits for the disk, everything fits into memory, nothing runs beside.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "2GB",
    "work_mem": "16MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
    "max_connections": "200",
}
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Postgres:
    """A running server: where it is reached, and its first process."""

    url: str
    postmaster: psutil.Process


@dataclass(frozen=True)
class Database:
    """A filled database with this many sites of `MEMBERS` members, and one of `BIG` after them."""

    url: str
    sites: int

    @property
    def big(self) -> int:
        """The place of the large site."""
        return self.sites + 1

    async def settle(self) -> None:
        """Leave no garbage of the last measurement to the next one."""
        await _run(self.url, "VACUUM ANALYZE", "CHECKPOINT")


@contextmanager
def postgresql() -> Iterator[Postgres]:
    """A PostgreSQL with the settings above, in a temporary folder; it is stopped and forgotten at the end."""
    with TemporaryDirectory(prefix="benchmark-") as folder:
        directory = Path(folder) / "postgresql"
        with embedded_postgresql(directory) as url:
            alter = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in SETTINGS.items()]
            asyncio.run(_run(url, *alter))
        with embedded_postgresql(directory) as url:
            pid = int((directory / "postmaster.pid").read_text().split()[0])
            yield Postgres(url, psutil.Process(pid))


def fill(postgres: Postgres, name: str, sites: int) -> Database:
    """Make, migrate and fill a database."""
    asyncio.run(_run(postgres.url, f"CREATE DATABASE {name}"))
    url = async_url(postgres.url).set(database=name, drivername="postgresql").render_as_string(False)
    migrate(url)
    asyncio.run(_fill(url, sites))
    return Database(url, sites)


async def _fill(url: str, sites: int) -> None:
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        await connection.execute("SELECT set_config('benchmark.sites', $1, true)", str(sites))
        await connection.execute((FOLDER / "fill.sql").read_text())
    await connection.execute((FOLDER / "postgraphile.sql").read_text())
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()
