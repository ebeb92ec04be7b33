"""Moves the primary contact of a site by an operator's hand, where nobody is there to hand over."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from app.actor import Actor
from app.context import Transaction
from app.db.models import Membership, Site, User
from app.db.session import Session
from app.db.transaction import begin
from app.resolvers.handing_over import hand_over
from app.rules import Language, Role
from app.texts import check_justification, site_number, tidy, typed_ibm_id

OPERATOR = Actor(name="operator", client="operator")


class TransferRefused(Exception):
    """The primary contact was not moved; the text says why."""


async def transfer_primary(database: AsyncEngine, number: str, ibm_id: str, reason: str) -> None:
    """Make a member of a site its primary contact; one whose access has ended too. The reason stays in the history.

    Raises TransferRefused, having written nothing, when there is no such site or member, or when they are it already.
    """
    faults = list(check_justification(reason, "reason"))
    if faults:
        raise TransferRefused(f"The reason: {faults[0].code.value.format(**faults[0].parameters)}")
    async with begin(database) as session:
        site = await _locked(session, site_number(number))
        member = await _member(session, site, typed_ibm_id(ibm_id))
        tx = Transaction(session, OPERATOR, Language.EN)
        await hand_over(tx, site, member, reason=tidy(reason))


async def _locked(session: Session, number: str) -> Site:
    """The site with a number, with the lock by which all writes to it take turns."""
    site: Site | None = await session.scalar(
        sa.select(Site).where(Site.number == number).with_for_update(key_share=True)
    )
    if site is None:
        raise TransferRefused("There is no site with this number.")
    return site


async def _member(session: Session, site: Site, ibm_id: str) -> Membership:
    member: Membership | None = await session.scalar(
        sa.select(Membership)
        .join(User, User.id == Membership.user_id)
        .where(Membership.site_id == site.id, sa.func.lower(User.ibm_id) == sa.func.lower(ibm_id))
    )
    if member is None:
        raise TransferRefused("Nobody with this IBMid is a member of the site.")
    if member.role is Role.PRIMARY_CONTACT:
        raise TransferRefused("This is the primary contact already.")
    return member
