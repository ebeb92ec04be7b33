"""Writes on many things of one site: each is done by the function of the single mutation, in one transaction.

The site is locked once, by the first look at it. Items are done in their order, each with a savepoint, so that an item
that cannot be done leaves nothing behind and the next one is judged as if it had not been there.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from app.context import Transaction
from app.db.locks import adding_people
from app.db.models import Site
from app.errors import Code, Fault, UserError, refuse
from app.policy import Action
from app.resolvers import access_requests, memberships
from app.rules import BATCH_LIMIT, ErrorPolicy, camel
from app.schema.bulk_inputs import (
    AddUsersInput,
    BulkInput,
    DenyAccessRequestsInput,
    GrantAccessRequestsInput,
    RemoveMembershipsInput,
    UpdateMembershipsInput,
)
from app.schema.inputs import AddUserInput
from app.texts import typed_ibm_id
from app.violations import meaning

Values = dict[str, Any]
Act = Callable[[Transaction, Any], Awaitable[Values]]


async def add_users(tx: Transaction, input: AddUsersInput) -> Values:
    """Give several people access, like `memberships.add`."""
    site = await _enter(tx, input, input.items)
    await adding_people(tx.session, [typed_ibm_id(item.ibm_id) for item in input.items])
    people = [AddUserInput(site_id=input.site_id, **vars(item)) for item in input.items]
    return await _each(tx, site, input.error_policy, people, "ibm_id", memberships.add)


async def update_memberships(tx: Transaction, input: UpdateMembershipsInput) -> Values:
    """Change several memberships, like `memberships.update`."""
    site = await _enter(tx, input, input.items)
    return await _each(tx, site, input.error_policy, input.items, "membership_id", memberships.update)


async def remove_memberships(tx: Transaction, input: RemoveMembershipsInput) -> Values:
    """Take several members' access away, like `memberships.remove`."""
    site = await _enter(tx, input, input.items)
    return await _each(tx, site, input.error_policy, input.items, "membership_id", memberships.remove)


async def grant(tx: Transaction, input: GrantAccessRequestsInput) -> Values:
    """Grant several requests, like `access_requests.grant`."""
    site = await _enter(tx, input, input.items)
    return await _each(tx, site, input.error_policy, input.items, "access_request_id", access_requests.grant)


async def deny(tx: Transaction, input: DenyAccessRequestsInput) -> Values:
    """Deny several requests, like `access_requests.deny`."""
    site = await _enter(tx, input, input.items)
    return await _each(tx, site, input.error_policy, input.items, "access_request_id", access_requests.deny)


async def _enter(tx: Transaction, input: BulkInput, items: Sequence[Any]) -> Site:
    """The site, for somebody who manages access there, and a list of a size that can be."""
    site = await tx.fetch(Site, input.site_id, Action.MANAGE_ACCESS, "siteId")
    if not items:
        raise refuse(Code.REQUIRED, "items")
    if len(items) > BATCH_LIMIT:
        raise refuse(Code.TOO_MANY, "items", limit=BATCH_LIMIT)
    # From now on nothing of other sites is found; and what is else checked at the end is checked at once, so that it
    # is told of the item that violates it.
    tx.only_site_id = site.id
    await tx.check_all()
    return site


async def _each(
    tx: Transaction, site: Site, policy: ErrorPolicy, items: Sequence[Any], name: str, act: Act
) -> Values:
    """Do every item; `name` is the field that says what an item is about, which may be there once."""
    site_id, taken, results = site.id, set[str](), list[Values]()
    for index, item in enumerate(items):
        # An IBMid, or an id, which is the same when it is tidied like one.
        about = typed_ibm_id(getattr(item, name)).lower()
        if about in taken:
            faults: Sequence[Fault] = [Fault(code=Code.DUPLICATE, path=(camel(name),))]
            done: Values = {}
        else:
            done, faults = await _one(tx, item, act)
        taken.add(about)
        told = [fault.under("items", index) for fault in faults]
        results.append({**done, "index": index, "done": not faults, "errors": told})
    values = _counted(results)
    if not values["succeeded"]:
        # Nothing is done, so nothing was used for it.
        tx.uses = frozenset()
    if values["failed"] and policy is ErrorPolicy.ALL_OR_NOTHING:
        raise _refusal(results)
    return {**values, "site_id": site_id}


async def _one(tx: Transaction, item: Any, act: Act) -> tuple[Values, Sequence[Fault]]:
    try:
        async with tx.attempt():
            return await act(tx, item), ()
    except UserError as error:
        return {}, error.faults
    except asyncpg.PostgresError as error:
        understood = meaning(error)
        if not isinstance(understood, UserError):
            raise
        return {}, understood.faults


def _counted(results: list[Values]) -> Values:
    failed = sum(bool(result["errors"]) for result in results)
    return {"results": results, "succeeded": sum(result["done"] for result in results), "failed": failed}


def _refusal(results: list[Values]) -> UserError:
    """All faults of all items; what would have been fine says so, but was not done."""
    undone = [{"index": one["index"], "done": False, "errors": one["errors"]} for one in results]
    return UserError(*(fault for one in results for fault in one["errors"]), values=_counted(undone))
