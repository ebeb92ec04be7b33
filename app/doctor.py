"""Looks whether a service can run as it is set up, and says what to do where it cannot."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.config import Misconfigured, Settings
from app.db.engine import SERVER_ROLE
from app.db.migrate import current_revision, is_of_newer_code, newest_revision
from app.db.trouble import MIGRATE, NEWER_CODE, DatabaseTrouble, explained
from app.live.listener import LOST, connect
from app.messages.delivery import Maildir, Undelivered, delivery_of
from app.tokens import UNANSWERED, PublishedKeys

OLDEST_POSTGRESQL = 150000
PROBE = "account_management_doctor"
"""The channel on which it is tried whether announcements are heard."""
PATIENCE = 5.0
"""Seconds in which they have to be."""


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
            async with database.connect() as connection:
                yield await _version(connection)
                yield await _role(connection)
                yield (revision := await _revision(connection))
                if revision.well:
                    yield await _dead(connection)
            yield await _listening(settings, database)
    except DatabaseTrouble as trouble:
        yield Finding(False, f"database: {trouble.what}", trouble.advice)
    yield await _issuer(settings)
    yield await _mail(settings)


async def _version(connection: AsyncConnection) -> Finding:
    number = int(await connection.scalar(text("SHOW server_version_num")) or 0)
    return Finding(number >= OLDEST_POSTGRESQL, f"PostgreSQL {number // 10000}", "use PostgreSQL 15 or newer")


async def _role(connection: AsyncConnection) -> Finding:
    role = str(await connection.scalar(text("SELECT current_user")))
    return Finding(role == SERVER_ROLE, f"role {role}", f"grant {SERVER_ROLE} to the user of DATABASE_URL")


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
            listening = await connect(settings)
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


async def _dead(connection: AsyncConnection) -> Finding:
    count = await connection.scalar(text("SELECT count(*) FROM message WHERE state = 'DEAD'"))
    # The service runs all the same: most of these went to people who are not there any more.
    return Finding(
        True, f"{count} dead messages: see messages list --state DEAD" if count else "no dead messages"
    )


async def require_newest_revision(database: AsyncEngine) -> None:
    """Raises Misconfigured when the tables are not those that this code needs."""
    async with database.connect() as connection:
        found = await _revision(connection)
        if not found.well:
            raise Misconfigured(f"The tables are not at the newest revision: {found.advice}.")
