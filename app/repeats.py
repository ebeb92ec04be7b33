"""Repeats: a mutation that is sent again with the same key is done once, and answered the same."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import strawberry
from sqlalchemy.dialects.postgresql import insert

from app.context import Transaction
from app.db.repeats import IdempotencyKey
from app.errors import Code, UserError, refuse
from app.rules import IDEMPOTENCY_KEY_LENGTH
from app.texts import check_text

Values = dict[str, Any]
KEPT = timedelta(hours=24)
NOT_COMPARED = {"validate_only", "idempotency_key"}


async def once(
    tx: Transaction, mutation: str, act: Callable[[Transaction, Any], Awaitable[Values]], input: Any
) -> Values:
    """What `act` gives, done now or before with the same key by the same person.

    Only the keys of what it was about are kept, so that a secret which is shown once is not shown again.
    Raises IDEMPOTENCY_KEY_REUSED when the key was used with another mutation or input.
    """
    key = input.idempotency_key
    if key is None:
        return await act(tx, input)
    faults = list(check_text(key, IDEMPOTENCY_KEY_LENGTH, "idempotencyKey"))
    if faults:
        raise UserError(*faults)
    await _forget_old(tx)
    digest = _digest(mutation, input)
    if not await _take(tx, key, mutation, digest):
        return await _repeated(tx, key, digest)
    values = await act(tx, input)
    about = {name: str(value) for name, value in values.items() if isinstance(value, UUID)}
    await tx.session.execute(sa.update(IdempotencyKey).where(*_mine(tx, key)).values(keys=about))
    return values


async def _forget_old(tx: Transaction) -> None:
    old = IdempotencyKey.created_at < sa.func.now() - KEPT
    await tx.session.execute(sa.delete(IdempotencyKey).where(IdempotencyKey.user_id == tx.actor.user_id, old))


async def _take(tx: Transaction, key: str, mutation: str, digest: bytes) -> bool:
    """Write the key down; whoever comes second waits here until the first has ended, and does not get it."""
    statement = insert(IdempotencyKey).values(
        user_id=tx.actor.user_id, key=key, mutation=mutation, digest=digest
    )
    taken = await tx.session.scalar(statement.on_conflict_do_nothing().returning(IdempotencyKey.key))
    return taken is not None


async def _repeated(tx: Transaction, key: str, digest: bytes) -> Values:
    found = (await tx.session.scalars(sa.select(IdempotencyKey).where(*_mine(tx, key)))).one()
    if found.digest != digest:
        raise refuse(Code.IDEMPOTENCY_KEY_REUSED, "idempotencyKey")
    # Nothing is done this time; what was done was allowed when it was done.
    tx.asked = True
    return {name: UUID(value) for name, value in found.keys.items()}


def _mine(tx: Transaction, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return IdempotencyKey.user_id == tx.actor.user_id, IdempotencyKey.key == key


def _digest(mutation: str, input: Any) -> bytes:
    values = {name: value for name, value in strawberry.asdict(input).items() if name not in NOT_COMPARED}
    text = json.dumps([mutation, values], default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def _plain(value: Any) -> str:
    return value.name if isinstance(value, Enum) else str(value)
