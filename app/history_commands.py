"""What operators do with the history: prove its chain, and export it."""

import sys
from collections.abc import Mapping
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import typer
from sqlalchemy.ext.asyncio import AsyncEngine

from app import history_chain
from app.db.models import Site
from app.errors import RequestError
from app.history_export import FORMATS, Export
from app.texts import site_number


class Format(Enum):
    """What the history can be exported as."""

    CSV = "csv"
    JSONL = "jsonl"


async def verify(database: AsyncEngine, number: str | None) -> bool:
    """Say whether the history is what was written, with progress on a terminal; whether it is."""
    stream = await _site(database, number) if number else None
    if number and stream is None:
        return False
    total = await history_chain.count(database, stream)
    with typer.progressbar(
        length=total, label="Hashing", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        proof = await history_chain.verify(database, stream, bar.update)
    last = proof.last
    if proof.fault and last:
        typer.echo(f"BROKEN: {proof.fault} in the history of {await _owner(database, last.stream)}.")
        return False
    typer.echo(f"The chain holds: {proof.events} events in {proof.streams} histories.")
    if number and last:
        typer.echo(
            f"It ends with event {last.number}, {last.hash.hex()}: keep that to see later that it is there."
        )
    return True


async def export(database: AsyncEngine, number: str, format: str, filter: Mapping[str, Any]) -> bool:
    """Write what a filter leaves of a site's history to the standard output; whether that can be done."""
    site_id = await _site(database, number)
    if site_id is None:
        return False
    written, out = FORMATS[format], typer.get_binary_stream("stdout")
    parts = Export(site_id, filter=filter).parts(database)
    try:
        first = await anext(parts)
    except RequestError as error:
        typer.echo(str(error), err=True)
        return False
    out.write((written.head + written.write(first)).encode())
    async for records in parts:
        out.write(written.write(records).encode())
    out.flush()
    return True


async def _site(database: AsyncEngine, number: str) -> UUID | None:
    async with database.connect() as connection:
        found: UUID | None = await connection.scalar(
            sa.select(Site.id).where(Site.number == site_number(number))
        )
    if found is None:
        typer.echo(f"There is no site with the number {number}.", err=True)
    return found


async def _owner(database: AsyncEngine, stream: UUID) -> str:
    """Whose history a stream is, in words."""
    async with database.connect() as connection:
        number = await connection.scalar(sa.select(Site.number).where(Site.id == stream))
    return f"site {number}" if number else f"the person with the key {stream}"
