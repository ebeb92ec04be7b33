"""A view of memberships: who decides about access at a site."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from app.db.base import Base
from app.db.models import Membership, User
from app.rules import Role, UpdateLevel

_DECIDERS = (
    sa.select(
        Membership.site_id,
        Membership.id,
        Membership.user_id,
        Membership.role,
        Membership.created_at,
        User.name.label("name"),
        User.sort_name,
    )
    .join(User, User.id == Membership.user_id)
    .where(
        Membership.active,
        sa.or_(
            Membership.role == Role.PRIMARY_CONTACT,
            sa.and_(
                Membership.role == Role.SECONDARY_CONTACT, Membership.manage_access == UpdateLevel.UPDATE
            ),
        ),
    )
    .subquery("decider")
)


class Decider(Base):
    """A member who decides about access, by name and role only: so every member can be told whom to ask.

    Not a table: a query in the place of one. A test proves that these are the people whom the policy lets decide.
    """

    __table__ = _DECIDERS
    __mapper_args__ = {"primary_key": [_DECIDERS.c.site_id, _DECIDERS.c.id]}

    site_id: Mapped[UUID]
    id: Mapped[UUID]
    user_id: Mapped[UUID]
    role: Mapped[Role]
    name: Mapped[str]
    sort_name: Mapped[str]
    created_at: Mapped[datetime]
