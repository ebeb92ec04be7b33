"""How a mutation is declared, done, and answered."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg
import strawberry
from strawberry.types import Info

from app.context import Completer, Context, Transaction
from app.errors import Fault, UserError
from app.language import translate
from app.policy import Action, allowed
from app.query.rows import TYPE
from app.repeats import once
from app.schema import payloads

Act = Callable[[Transaction, Any], Awaitable[dict[str, Any]]]


def mutation(description: str, action: Action) -> Any:
    """A mutation whose description says who may call it."""
    return strawberry.mutation(description=f"{description} {allowed(action)}")


async def write(info: Info, act: Act, input: Any) -> Any:
    """Do it in one transaction, then read the payload back; or answer with why it was refused."""
    context: Context = info.context
    completer = context.completer(info._raw_info)
    attempt = partial(_attempt, context, completer, info.field_name, act, input)
    try:
        try:
            values, answered = await attempt()
        except asyncpg.InvalidCachedStatementError:
            # The connection had prepared a statement before a migration changed its tables. Nothing was done.
            values, answered = await attempt()
    except UserError as error:
        values, answered = {**error.values, "errors": list(error.faults)}, None
    return await completer.complete(_told(values, context)) if answered is None else answered


async def _attempt(
    context: Context, completer: Completer, name: str, act: Act, input: Any
) -> tuple[dict[str, Any], Any]:
    """What was done; with the answer to what shall only be checked, which is from within the transaction."""
    async with context.transaction(keep=not input.validate_only) as tx:
        values: dict[str, Any] = {"errors": []} | await once(tx, name, _recorded(act), input)
        if not input.validate_only:
            return values, None
        await tx.check_all()
        return values, await completer.complete(_told(values, context), tx)


def _recorded(act: Act) -> Act:
    """The same, which also gives the events that it wrote into the history."""

    async def recorded(tx: Transaction, input: Any) -> dict[str, Any]:
        values = await act(tx, input)
        await tx.session.flush()
        return {**values, "event_ids": [event.id for event in tx.events]}

    return recorded


def _told(value: Any, context: Context) -> Any:
    """What a resolver gave, with every fault in it described for the caller."""
    match value:
        case Fault():
            return _described(value, context)
        case list():
            return [_told(item, context) for item in value]
        case dict():
            return {name: _told(item, context) for name, item in value.items()}
    return value


def _described(fault: Fault, context: Context) -> dict[Any, Any]:
    return {
        TYPE: payloads.error_type(fault.code),
        "code": fault.code,
        "message": _sentence(fault, context),
        "path": [str(step) for step in fault.path],
        **fault.parameters,
    }


def _sentence(fault: Fault, context: Context) -> str:
    """The sentence of a code; where it passes on a reason, that is a sentence to translate as well."""
    reason = fault.parameters.get("reason")
    translated = {"reason": translate(reason, context.language)} if reason else {}
    return translate(fault.code.value, context.language, **fault.parameters | translated)
