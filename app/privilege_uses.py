"""Which member uses which privilege: gathered in memory by the day, and written down now and then.

So neither an access check nor any other read writes; a process that is killed loses what it has not written yet.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.models import Membership
from app.db.privilege_uses import PrivilegeUse
from app.rules import PrivilegeName

log = structlog.get_logger()
BATCH = 5_000
"""How many uses one statement writes."""
PATIENCE = "200ms"
"""For how long it waits for somebody who writes a membership: sooner than PostgreSQL looks for a deadlock."""
GRACE = 5.0
"""Seconds that a server which is being stopped takes to write down what it knows."""


class Use(NamedTuple):
    """A member used a privilege."""

    site_id: UUID
    user_id: UUID
    privilege: PrivilegeName


@dataclass
class Uses:
    """The uses that one process has seen: those of today that are written, and those of any day that are not."""

    database: AsyncEngine
    unwritten: dict[Use, date] = field(default_factory=dict)
    written: set[Use] = field(default_factory=set)
    day: date = date.min

    def note(self, uses: Iterable[Use]) -> None:
        """Remember what is used today."""
        today = datetime.now(UTC).date()
        if self.day != today:
            self.day, self.written = today, set()
        self.unwritten.update((use, today) for use in uses if use not in self.written)

    async def flush(self) -> None:
        """Write down what is not written; what cannot be written now stays for the next time."""
        while batch := dict(islice(self.unwritten.items(), BATCH)):
            await self._write(batch)
            for use, day in batch.items():
                if self.unwritten.get(use) == day:
                    del self.unwritten[use]
                if day == self.day:
                    self.written.add(use)

    async def _write(self, batch: Mapping[Use, date]) -> None:
        async with self.database.begin() as connection:
            # Nobody who removes members is ever made to give up because of this.
            await connection.execute(sa.text(f"SET LOCAL lock_timeout = '{PATIENCE}'"))
            await connection.execute(_written(batch))

    async def keep_writing(self, every: float, stopping: asyncio.Event) -> None:
        """Write down what is known every so many seconds, and once more in the end, whatever the database does."""
        while not stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), every)
            try:
                await self.flush()
            except Exception as error:
                log.warning("uses of privileges wait", count=len(self.unwritten), error=repr(error))


def _written(batch: Mapping[Use, date]) -> Any:
    """The statement that writes uses of those who are still members. The order lets several processes take turns."""
    table = PrivilegeUse.__table__.c
    columns = zip(*((*use, day) for use, day in batch.items()), strict=True)
    arrays = [
        sa.cast(sa.literal(list(values), ARRAY(column.type)), ARRAY(column.type))
        for column, values in zip(table, columns, strict=True)
    ]
    used = sa.func.unnest(*arrays).table_valued(*(sa.column(one.name, one.type) for one in table))
    used = used.render_derived(name="used")
    members = (
        sa.select(*used.c)
        .join_from(
            used,
            Membership,
            sa.and_(Membership.site_id == used.c.site_id, Membership.user_id == used.c.user_id),
        )
        .order_by(used.c.site_id, used.c.user_id, used.c.privilege)
        .with_for_update(read=True, key_share=True, of=Membership)
    )
    made = insert(PrivilegeUse).from_select([column.name for column in table], members)
    latest = sa.func.greatest(PrivilegeUse.last_used_on, made.excluded.last_used_on)
    return made.on_conflict_do_update(index_elements=list(table)[:3], set_={"last_used_on": latest})


@asynccontextmanager
async def writing_uses(uses: Uses, every: float) -> AsyncIterator[None]:
    """Write down uses beside the server, and what is left when it is stopped."""
    stopping = asyncio.Event()
    task = asyncio.create_task(uses.keep_writing(every, stopping))
    try:
        yield
    finally:
        stopping.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(task, GRACE)
