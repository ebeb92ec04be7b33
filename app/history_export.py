"""The history of a site as a file: for spreadsheets (CSV) and for programs (one JSON object a line).

It is read in parts, each by a statement of its own that goes on after the last number. History is only ever added to,
and its numbers have no gaps, so the parts make one whole; and no connection waits for whoever reads slowly.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.actor import Actor
from app.db.models import HistoryEvent as Event
from app.db.transaction import Database, snapshot
from app.policy import Action, visible
from app.query.declare import Arguments
from app.query.ids import write_id
from app.schema.history_filters import history
from app.schema.kept import changes
from app.subjects import SubjectType

PART = 1_000
"""How many events are read by one statement, and are in memory at once."""
COLUMNS = (
    "number",
    "at",
    "event",
    "actorId",
    "actorName",
    "client",
    "subjectType",
    "subjectId",
    "subjectName",
    "changes",
    "reason",
    "justification",
    "id",
)
CHANGE = ("field", "before", "after")
BYTE_ORDER_MARK = "\ufeff"
STARTS_OF_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What spreadsheets take for the beginning of a formula (OWASP, CSV Injection)."""
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Export:
    """What is exported: the events of a site that a filter leaves; without an actor, all that operators see."""

    site_id: UUID
    actor: Actor | None = None
    filter: Mapping[str, Any] | None = None

    def may(self, action: Action) -> sa.ColumnElement[bool]:
        """On which events this can be done."""
        return visible(self.actor, action, Event) if self.actor else sa.true()

    def statement(self) -> sa.Select[Any]:
        """A part of the events, after the number `last`."""
        told = changes(self.may).subquery()
        doer = {
            name: sa.case((self.may(Action.SEE_ACTOR), getattr(Event, name)))
            for name in ("actor_id", "actor_name", "client")
        }
        return (
            sa.select(
                *(Event.id, Event.number, Event.at, Event.event, Event.subject_type, Event.subject_id),
                *(Event.subject_name, Event.reason, Event.justification),
                *(column.label(name) for name, column in doer.items()),
                sa.select(sa.func.jsonb_agg(sa.func.to_jsonb(told.table_valued())))
                .scalar_subquery()
                .label("changes"),
            )
            .where(
                Event.stream == self.site_id,
                Event.number > sa.bindparam("last", type_=sa.BigInteger),
                self.may(Action.SEE_HISTORY),
                *history(Arguments({"filter": self.filter}), self.actor),
            )
            .order_by(Event.number)
            .limit(PART)
        )

    async def parts(self, database: Database) -> AsyncIterator[Sequence[Record]]:
        """The events in their order, a part at a time. Raises BAD_USER_INPUT for values that cannot be."""
        statement, last, more = self.statement(), 0, True
        while more:
            async with snapshot(database) as session:
                rows = list(await session.execute(statement, {"last": last}))
            yield [_record(row) for row in rows]
            more, last = len(rows) == PART, rows[-1].number if rows else last


def _record(row: Any) -> Record:
    """An event under the names of the schema."""
    values = {
        "number": row.number,
        "at": row.at.isoformat(),
        "event": row.event.name,
        "actorId": write_id("user", row.actor_id) if row.actor_id else None,
        "actorName": row.actor_name,
        "client": row.client,
        "subjectType": SubjectType[row.subject_type.upper()].name,
        "subjectId": write_id(row.subject_type, row.subject_id),
        "subjectName": row.subject_name,
        "changes": [{name: change[name] for name in CHANGE} for change in row.changes or []],
        "reason": row.reason,
        "justification": row.justification,
        "id": write_id("history_event", row.id),
    }
    return {name: values[name] for name in COLUMNS}


def csv_text(records: Sequence[Record]) -> str:
    """Lines of CSV after RFC 4180. No cell is a formula, wherever it is opened."""
    return _lines([_defused(name, record[name]) for name in COLUMNS] for record in records)


def _lines(rows: Any) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


def _defused(name: str, value: Any) -> str:
    """A cell. Whatever looks like the beginning of a formula gets an apostrophe, which makes a text of it."""
    text = _changes(value) if name == "changes" else "" if value is None else str(value)
    return f"'{text}" if text.startswith(STARTS_OF_FORMULAS) else text


def _changes(changed: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(
        f"{change['field']}: {_told(change['before'])} → {_told(change['after'])}" for change in changed
    )


def _told(value: str | None) -> str:
    return "–" if value is None else value


def json_text(records: Sequence[Record]) -> str:
    """A JSON object for each event, each in a line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


@dataclass(frozen=True)
class Format:
    """How a file begins, how events are written into it, and what kind of file it is."""

    media_type: str
    head: str
    write: Callable[[Sequence[Record]], str]


FORMATS: Mapping[str, Format] = {
    # Excel reads UTF-8 only where a byte order mark says so; whoever reads by program has the other format.
    "csv": Format("text/csv; charset=utf-8; header=present", BYTE_ORDER_MARK + _lines([COLUMNS]), csv_text),
    "jsonl": Format("application/jsonl; charset=utf-8", "", json_text),
}
