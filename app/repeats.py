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
from app.errors import Code, Fault, UserError, refuse
from app.rules import IDEMPOTENCY_KEY_LENGTH
from app.texts import check_text

Values = dict[str, Any]
KEPT = timedelta(hours=24)
NOT_COMPARED = {"validate_only", "idempotency_key"}


async def once(
    tx: Transaction, mutation: str, act: Callable[[Transaction, Any], Awaitable[Values]], input: Any
) -> Values:
    """What `act` gives, done now or before with the same key by the same person.

    Texts are not kept but for those of faults, so that a secret which is shown once is not shown again.
    Raises IDEMPOTENCY_KEY_REUSED when the key was used with another mutation or input.
    """
    if input.idempotency_key is None:
        return await act(tx, input)
    key = _checked(input.idempotency_key)
    await _forget_old(tx)
    digest = _digest(mutation, input)
    if not await _take(tx, key, mutation, digest):
        return await _repeated(tx, key, digest)
    values = await act(tx, input)
    await tx.session.execute(sa.update(IdempotencyKey).where(*_mine(tx, key)).values(keys=_kept(values)))
    return values


def _checked(key: str) -> str:
    faults = list(check_text(key, IDEMPOTENCY_KEY_LENGTH, "idempotencyKey"))
    if faults:
        raise UserError(*faults)
    return key.strip()


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
    found = await tx.session.scalar(sa.select(IdempotencyKey).where(*_mine(tx, key)))
    if found is None:
        # It became too old, and was forgotten by somebody else, between being in the way and being looked at.
        raise refuse(Code.CONFLICT)
    if found.digest != digest:
        raise refuse(Code.IDEMPOTENCY_KEY_REUSED, "idempotencyKey")
    # Nothing is done this time; what was done was allowed when it was done.
    tx.asked = True
    values: Values = _read(found.keys)
    return values


def _kept(value: Any) -> Any:
    """What is kept of values, in JSON's terms: keys, numbers, faults, and lists and objects of these."""
    match value:
        case UUID():
            return str(value)
        case Fault(code=code, path=path, parameters=parameters):
            return {
                "fault": code.name,
                "path": path,
                "parameters": {n: _said(v) for n, v in parameters.items()},
            }
        case list():
            return [_kept(item) for item in value]
        case dict():
            return {name: _kept(item) for name, item in value.items() if not isinstance(item, str)}
        case int() | None:
            return value
    raise TypeError(f"{type(value).__name__} cannot be kept")


def _said(value: Any) -> Any:
    return {"key": str(value)} if isinstance(value, UUID) else value


def _read(value: Any) -> Any:
    """The values that were kept."""
    match value:
        case str():
            return UUID(value)
        case {"fault": code, "path": path, "parameters": dict(parameters)}:
            heard = {name: _heard(said) for name, said in parameters.items()}
            return Fault(code=Code[code], path=tuple(path), parameters=heard)
        case list():
            return [_read(item) for item in value]
        case dict():
            return {name: _read(item) for name, item in value.items()}
    return value


def _heard(said: Any) -> Any:
    return UUID(said["key"]) if isinstance(said, dict) else said


def _mine(tx: Transaction, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return IdempotencyKey.user_id == tx.actor.user_id, IdempotencyKey.key == key


def _digest(mutation: str, input: Any) -> bytes:
    values = {name: value for name, value in strawberry.asdict(input).items() if name not in NOT_COMPARED}
    text = json.dumps([mutation, values], default=_plain, sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def _plain(value: Any) -> str:
    return value.name if isinstance(value, Enum) else str(value)
