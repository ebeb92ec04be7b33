"""Which privileges a member holds and does not use."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, array

from app.db.models import Membership
from app.db.privilege_uses import PrivilegeUse
from app.rules import DAYS_UNUSED, PRIVILEGES, PrivilegeName, Role

_NAME = PrivilegeUse.privilege.type
_FIRST_DAY = sa.literal_column(f"((now() AT TIME ZONE 'UTC')::date - {DAYS_UNUSED})", sa.Date)
_SETTLED = sa.and_(
    Membership.active,
    Membership.role != Role.PRIMARY_CONTACT,
    Membership.levels_changed_at <= sa.func.now() - sa.literal_column(f"interval '{DAYS_UNUSED} days'"),
)
"""Whose levels have been the same for long; those of the primary contact go with the role."""


def _level_told_of(name: str) -> Any:
    """From which level on it is told that a privilege is not used.

    What is seen here leaves no trace, so that nobody is told of those who may see but not change.
    """
    privilege = PRIVILEGES[name]
    level = privilege.highest if privilege.secondary_contacts_only else list(privilege.levels)[1]
    return sa.literal(level, getattr(Membership, name).type)


def _is_unused(name: str) -> sa.ColumnElement[bool]:
    """Whether a member holds a privilege, and has not used it for long."""
    used = sa.exists().where(
        PrivilegeUse.site_id == Membership.site_id,
        PrivilegeUse.user_id == Membership.user_id,
        PrivilegeUse.privilege == sa.literal(PrivilegeName(name), _NAME),
        PrivilegeUse.last_used_on > _FIRST_DAY,
    )
    return sa.and_(getattr(Membership, name) >= _level_told_of(name), sa.not_(used.correlate(Membership)))


_named: list[Any] = [
    sa.case((_is_unused(name), sa.cast(sa.literal(PrivilegeName(name), _NAME), _NAME))) for name in PRIVILEGES
]
UNUSED_PRIVILEGES = sa.case(
    (_SETTLED, sa.func.array_remove(array(_named, type_=ARRAY(_NAME)), sa.null(), type_=ARRAY(_NAME))),
    else_=sa.cast(sa.literal_column("'{}'"), ARRAY(_NAME)),
)
"""The privileges that a member holds and has not used for long, in the order of the catalogue."""
UNUSED = (
    f"The applications of which the member has held a level for {DAYS_UNUSED} days without using it. A use is an "
    "access check about oneself that is answered yes; of manage access and contact updates also a change that they "
    "allowed. These two are listed with the level UPDATE only, because what is only seen here is not noted. Empty for "
    "the primary contact, and once access has ended."
)
"""The same in words."""
HOLDS_UNUSED = sa.and_(_SETTLED, sa.or_(*map(_is_unused, PRIVILEGES)))
"""Which memberships have such."""
