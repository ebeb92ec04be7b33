"""How much somebody may give at a site, where its rules set a limit."""

from uuid import UUID

from app.context import Transaction
from app.db.models import Site
from app.resolvers.giving import active_membership, levels_of
from app.rules import Levels, Role, no_levels


async def site_now(tx: Transaction, site_id: UUID) -> Site:
    """The locked site as earlier writers left it."""
    site = await tx.session.newest(Site, site_id)
    assert site is not None
    return site


async def most_to_give(tx: Transaction, site_id: UUID, giver_id: UUID | None) -> Levels | None:
    """The levels above which somebody may give nothing at a site; nothing where there is no limit."""
    site = await site_now(tx, site_id)
    if not site.grant_at_most_held or giver_id is None:
        return None
    giver = await active_membership(tx, site_id, giver_id)
    return levels_of(giver) if giver and giver.role is not Role.PRIMARY_CONTACT else None


async def held_by(tx: Transaction, site_id: UUID, user_id: UUID) -> Levels:
    """The levels that somebody has at a site already."""
    membership = await active_membership(tx, site_id, user_id)
    stored = membership and membership.role is not Role.PRIMARY_CONTACT
    return levels_of(membership) if membership and stored else no_levels()
