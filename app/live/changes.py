"""The history of a site as subscribers hear of it: which events there are, and their opaque ids."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.db.concern import is_object
from app.db.models import HistoryEvent
from app.db.pool import Pool, render
from app.errors import bad_input
from app.rules import Event

BATCH = 100
"""Events that are read at once."""
EVENT_ID = re.compile(r"event_([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """An event of a site: its place in the site's history, and whom and what it is about.

    `event` is nothing where a newer release wrote one that this one does not know.
    """

    site_id: UUID
    number: int
    id: str
    event: Event | None
    at: datetime
    subject_type: str
    subject_id: UUID
    user_id: UUID | None
    outlasts_access: bool
    removed: bool

    def values(self) -> dict[str, Any]:
        """What the payload of a subscription is read from, as those of mutations are."""
        return {
            "event": self.event,
            "event_id": self.id,
            "at": self.at,
            "site_id": self.site_id,
            "subject_id": self.subject_id,
            "removed": self.subject_id if self.removed else None,
        }


CHANGES = render(
    sa.select(
        HistoryEvent.number,
        HistoryEvent.hash,
        HistoryEvent.event,
        HistoryEvent.at,
        HistoryEvent.subject_type,
        HistoryEvent.subject_id,
        HistoryEvent.user_id,
        HistoryEvent.outlasts_access,
        sa.not_(is_object(HistoryEvent.after)).label("removed"),
    )
    .where(
        HistoryEvent.stream == sa.bindparam("site_id", None, type_=sa.Uuid),
        HistoryEvent.number > sa.bindparam("number", None, type_=sa.BigInteger),
    )
    .order_by(HistoryEvent.number)
    .limit(sa.literal(BATCH, literal_execute=True))
)
PLACE = render(
    sa.select(
        sa.select(sa.func.coalesce(sa.func.max(HistoryEvent.number), 0))
        .where(HistoryEvent.stream == sa.bindparam("site_id", None, type_=sa.Uuid))
        .scalar_subquery()
        .label("last"),
        sa.select(HistoryEvent.number)
        .where(
            HistoryEvent.stream == sa.bindparam("site_id", None, type_=sa.Uuid),
            HistoryEvent.hash == sa.bindparam("hash", None, type_=sa.LargeBinary),
        )
        .limit(sa.literal(1, literal_execute=True))
        .scalar_subquery()
        .label("seen"),
    )
)


async def changes_after(pool: Pool, site_id: UUID, number: int) -> list[Change]:
    """The next events of a site, in their order; at most `BATCH` of them."""
    rows = await pool.rows(CHANGES.sql, CHANGES.values({"site_id": site_id, "number": number}))
    return [_change(site_id, row) for row in rows]


def _change(site_id: UUID, row: Any) -> Change:
    return Change(
        site_id=site_id,
        number=row["number"],
        id=f"event_{row['hash'].hex()}",
        event=Event.__members__.get(row["event"]),
        at=row["at"],
        subject_type=row["subject_type"],
        subject_id=row["subject_id"],
        user_id=row["user_id"],
        outlasts_access=row["outlasts_access"],
        removed=row["removed"],
    )


async def place(pool: Pool, site_id: UUID, after: str | None) -> tuple[int, int]:
    """The number of a site's last event, and of the one with the id `after`, or else the last one again.

    Raises BAD_USER_INPUT when there is no such event in this site.
    """
    match = EVENT_ID.fullmatch(after or "")
    given = {"site_id": site_id, "hash": bytes.fromhex(match[1]) if match else b""}
    row = await pool.row(PLACE.sql, PLACE.values(given))
    if after is not None and row["seen"] is None:
        raise bad_input("after must be the id of an event of this site.")
    return row["last"], row["last"] if after is None else row["seen"]
