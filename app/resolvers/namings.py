"""Writes on namings that wait for a second person: confirm, reject."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import sqlalchemy as sa

from app.access_rules import check_end
from app.actor import Actor
from app.context import Transaction
from app.db.models import AccessRequest, Membership, User
from app.db.site_rules import Naming
from app.errors import Code, UserError, refuse
from app.identity import standings_of
from app.policy import Action, allows
from app.resolvers.access_requests import check_pending, grant_now, member_asking
from app.resolvers.giving import Access, active_membership, given_anew, levels_in, membership_of, raised
from app.resolvers.limits import held_by, most_to_give
from app.resolvers.memberships import add_now, update_now
from app.resolvers.proposing import close
from app.rules import Levels, Role
from app.schema.site_rule_inputs import ConfirmNamingInput, RejectNamingInput
from app.site_rules import NamingKind, NamingState, check_at_most


async def confirm(tx: Transaction, input: ConfirmNamingInput) -> dict[str, Any]:
    """Do what was proposed, after all its checks once more. Raises what these raise, all about the naming."""
    naming = await tx.fetch(Naming, input.naming_id, Action.CONFIRM_NAMING, "namingId")
    _check_waiting(naming)
    await close(tx, naming, NamingState.CONFIRMED)
    try:
        done = await ACTS[naming.kind](tx, naming)
    except UserError as error:
        raise UserError(*(replace(fault, path=("namingId",)) for fault in error.faults)) from error
    return {"site_id": naming.site_id, **done, "naming_id": naming.id}


async def reject(tx: Transaction, input: RejectNamingInput) -> dict[str, Any]:
    """Reject what was proposed; the proposer takes it back."""
    naming = await tx.fetch(Naming, input.naming_id, Action.REJECT_NAMING, "namingId")
    _check_waiting(naming)
    own = naming.proposed_by_id == tx.actor.user_id
    await close(tx, naming, NamingState.CANCELLED if own else NamingState.REJECTED)
    return {"naming_id": naming.id, "site_id": naming.site_id}


def _check_waiting(naming: Naming) -> None:
    if naming.state is not NamingState.PENDING:
        raise refuse(Code.NAMING_CLOSED, "namingId")


async def _add(tx: Transaction, naming: Naming) -> dict[str, Any]:
    await _check_proposer(tx, naming, Action.ADD_USER, naming)
    if await active_membership(tx, naming.site_id, naming.user_id):
        raise refuse(Code.ALREADY_MEMBER)
    user = await tx.session.get_one(User, naming.user_id)
    return await add_now(tx, naming.site_id, user, await _access(tx, naming, levels_in(naming)))


async def _grant(tx: Transaction, naming: Naming) -> dict[str, Any]:
    found = sa.select(AccessRequest).where(AccessRequest.id == naming.access_request_id)
    asked = (await tx.session.scalars(found.with_for_update())).one()
    check_pending(asked)
    await _check_proposer(tx, naming, Action.DECIDE_ACCESS_REQUEST, asked)
    member, given = await member_asking(tx, asked), levels_in(naming)
    access = await _access(tx, naming, raised(member, given) if member else given)
    return await grant_now(tx, naming.site_id, asked, access)


async def _update(tx: Transaction, naming: Naming) -> dict[str, Any]:
    # Whoever takes the membership away cancels the naming.
    membership = cast(Membership, await membership_of(tx, naming.site_id, naming.user_id))
    tx.require(Action.UPDATE_MEMBERSHIP, membership)
    await _check_proposer(tx, naming, Action.UPDATE_MEMBERSHIP, membership)
    access = await _access(tx, naming, given_anew(membership, levels_in(naming)))
    return await update_now(tx, membership, access)


ACTS: dict[NamingKind, Callable[[Transaction, Naming], Awaitable[dict[str, Any]]]] = {
    NamingKind.ADD: _add,
    NamingKind.GRANT: _grant,
    NamingKind.UPDATE: _update,
}


async def _check_proposer(tx: Transaction, naming: Naming, action: Action, row: Any) -> None:
    """Rights are those of this moment, also those of whoever proposed it. Raises PROPOSER_NOT_ALLOWED."""
    standings = await standings_of(tx.session, naming.proposed_by_id, naming.site_id)
    if not allows(Actor(naming.proposed_by_id, standings=standings), action, row):
        raise refuse(Code.PROPOSER_NOT_ALLOWED)


async def _access(tx: Transaction, naming: Naming, anew: Levels) -> Access:
    """What was proposed; `anew` is all that is given by it, which can be more than was spoken of.

    Raises LEVEL_ABOVE_YOURS when the proposer may not give it any more, END_IN_PAST.
    """
    most = await most_to_give(tx, naming.site_id, naming.proposed_by_id)
    held = await held_by(tx, naming.site_id, naming.user_id)
    faults = [*check_at_most(most, anew, held), *check_end(naming.ends_at)]
    if faults:
        raise UserError(*faults)
    return Access(Role.SECONDARY_CONTACT, levels_in(naming), naming.ends_at, naming.justification)
