"""Looks whether a service can run as it is set up, and says what to do where it cannot."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.config import Misconfigured, Settings
from app.db.engine import LOST, Unreachable, connect_to_listen, open_connection, server_settings
from app.db.migrate import current_revision, is_of_newer_code, newest_revision
from app.db.pool import SETTINGS
from app.db.trouble import MIGRATE, NEWER_CODE, STANDBY, DatabaseTrouble, explained
from app.messages.delivery import Maildir, Undelivered, delivery_of
from app.tokens import UNANSWERED, PublishedKeys

OLDEST_POSTGRESQL = 150000
PROBE = "account_management_doctor"
"""The channel on which it is tried whether announcements are heard."""
PATIENCE = 10.0
"""Seconds in which they have to be, and a connection has to do its work."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `advice` is what to do when it is not well."""

    well: bool
    what: str
    advice: str = ""


async def examine(settings: Settings, database: AsyncEngine) -> AsyncIterator[Finding]:
    """Look at the database, at who signs the tokens, and at where messages go."""
    try:
        with explained():
            found = [finding async for finding in _database(settings, database)]
            for finding in found:
                yield finding
            if all(finding.well for finding in found):
                yield await _writable(database)
                yield await _letters(database)
                yield await _dead(database)
            if found[0].well:
                yield await _listening(settings, database)
    except DatabaseTrouble as trouble:
        yield Finding(False, f"database: {trouble.what}", trouble.advice)
    yield await _issuer(settings)
    yield await _mail(settings)


async def _database(settings: Settings, database: AsyncEngine) -> AsyncIterator[Finding]:
    """What the service cannot do without."""
    yield (reached := await _reached(settings))
    if not reached.well:
        return
    yield (kept := await _kept(settings))
    async with database.connect() as connection:
        yield await _version(connection)
        if kept.well:
            yield await _revision(connection)


async def _reached(settings: Settings) -> Finding:
    """Whether the database answers, and with it whatever pooler stands in between."""
    try:
        async with asyncio.timeout(PATIENCE), _connected(settings) as one, _connected(settings) as other:
            statement = await one.prepare("SELECT 1", name=f"doctor_{uuid4().hex}")
            await statement.fetchval()
            async with other.transaction():
                # The pooler's connection to the database that the statement was prepared on is now taken.
                await statement.fetchval()
    except asyncpg.InvalidSQLStatementNameError:
        advice = (
            "use PgBouncer 1.21 or newer with max_prepared_statements, or reach the database without a pooler"
        )
        return Finding(False, "database: a pooler loses prepared statements", advice)
    except asyncpg.PostgresError as error:
        if "unsupported startup parameter" not in str(error):
            raise
        advice = f"let the pooler have ignore_startup_parameters = {', '.join(_told(settings))}"
        return Finding(False, f"database: {error}", advice)
    except TimeoutError as error:
        raise Unreachable(f"no answer within {PATIENCE:.0f} seconds") from error
    return Finding(True, "the database is reached")


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[Any]:
    assert settings.database_url is not None
    told = server_settings(settings) | SETTINGS
    connection = await open_connection(settings.database_url.get_secret_value(), told)
    try:
        yield connection
    finally:
        connection.terminate()


def _told(settings: Settings) -> dict[str, str]:
    """What connections are told to be when they are opened."""
    told = server_settings(settings) | SETTINGS
    return {name: value for name, value in told.items() if name != "application_name"}


async def _kept(settings: Settings) -> Finding:
    """Whether connections are what they are told to be: a pooler may not pass it on."""
    async with _connected(settings) as connection:
        held = "SELECT lower(name), setting FROM pg_settings UNION ALL SELECT 'role', current_user"
        values = dict(await connection.fetch(held))
        user = await connection.fetchval("SELECT quote_ident(session_user)")
    lost = {name: value for name, value in _told(settings).items() if values.get(name) != value}
    statements = " ".join(f"ALTER ROLE {user} SET {name} = '{value}';" for name, value in lost.items())
    return Finding(
        not lost,
        f"role {values['role']}" + (f"; connections are not told {', '.join(lost)}" if lost else ""),
        f"behind a pooler, tell the server's own login: {statements}",
    )


async def _version(connection: AsyncConnection) -> Finding:
    number = int(await connection.scalar(text("SHOW server_version_num")) or 0)
    return Finding(number >= OLDEST_POSTGRESQL, f"PostgreSQL {number // 10000}", "use PostgreSQL 15 or newer")


async def _revision(connection: AsyncConnection) -> Finding:
    current = await current_revision(connection)
    what = f"revision {current or 'none'} of the tables"
    advice = NEWER_CODE if is_of_newer_code(current) else MIGRATE
    return Finding(current == newest_revision(), what, advice)


async def _listening(settings: Settings, database: AsyncEngine) -> Finding:
    """Whether what is announced on one connection is heard on another, as subscriptions need it."""
    heard, advice = asyncio.Event(), "set LISTEN_DATABASE_URL to reach the database without a pooler"
    try:
        async with asyncio.timeout(PATIENCE):
            listening = await connect_to_listen(settings)
            await listening.add_listener(PROBE, lambda *_: heard.set())
            async with database.begin() as connection:
                await connection.execute(text(f"NOTIFY {PROBE}"))
            await heard.wait()
            await listening.close()
    except LOST as error:
        return Finding(False, f"announcements of events are not heard: {error!r}", advice)
    return Finding(True, "announcements of events are heard", advice)


async def _issuer(settings: Settings) -> Finding:
    if settings.development:
        return Finding(True, "tokens of the built-in development issuer")
    if settings.oidc_issuer is None:
        return Finding(False, "nobody signs tokens", "set OIDC_ISSUER and OIDC_AUDIENCE")
    try:
        keys = await PublishedKeys(settings.oidc_issuer, settings.oidc_jwks_url).published()
    except UNANSWERED as error:
        # An answer that did not come in time has no words of its own.
        said = str(error).partition("\n")[0] or repr(error)
        advice = "set OIDC_ISSUER as its tokens have it, check OIDC_JWKS_URL and the network"
        return Finding(False, f"issuer {settings.oidc_issuer}: {said}", advice)
    return Finding(True, f"issuer {settings.oidc_issuer} with {len(keys.keys)} keys")


async def _mail(settings: Settings) -> Finding:
    delivery = delivery_of(settings)
    if isinstance(delivery, Maildir):
        what = f"messages go to the folder {delivery.folder}"
        return Finding(_takes_files(delivery.folder), what, "let the service write there, or set SMTP_URL")
    what = f"mail server {delivery.host}"
    try:
        await delivery.greet()
    except Undelivered as error:
        return Finding(False, f"{what}: {error}", "check SMTP_URL and the network")
    return Finding(True, what)


def _takes_files(folder: Path) -> bool:
    """Whether a folder can be written to, or be made."""
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


async def _writable(database: AsyncEngine) -> Finding:
    # A server may start on it all the same: what is there can be read.
    async with database.connect() as connection:
        writable = await connection.scalar(text("SHOW transaction_read_only")) == "off"
    return Finding(writable, f"the database takes {'changes' if writable else 'no changes'}", STANDBY)


async def _letters(database: AsyncEngine) -> Finding:
    """Whether names are sorted and found without case: letters are small or capital by the database's `LC_CTYPE`."""
    async with database.connect() as connection:
        known = bool(await connection.scalar(text("SELECT lower('ÉØI') = 'éøi'")))
    what = f"the database knows {'the' if known else 'no'} small letters of É, Ø and I"
    return Finding(known, what, "make one with ENCODING UTF8 and LC_CTYPE 'C.UTF-8', and restore into that")


async def _dead(database: AsyncEngine) -> Finding:
    async with database.connect() as connection:
        count = await connection.scalar(text("SELECT count(*) FROM message WHERE state = 'DEAD'"))
    # The service runs all the same: most of these went to people who are not there any more.
    return Finding(
        True, f"{count} dead messages: see messages list --state DEAD" if count else "no dead messages"
    )


async def require_database(settings: Settings, database: AsyncEngine) -> None:
    """Raises Misconfigured when the database, or the way to it, is not what this code needs."""
    # All of them are looked at first: who stops in between would leave a connection open.
    for finding in [finding async for finding in _database(settings, database)]:
        if not finding.well:
            raise Misconfigured(f"{finding.what}: {finding.advice}")
