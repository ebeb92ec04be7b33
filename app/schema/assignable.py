"""Which roles and levels the caller may give, here and now."""

from typing import Any

import sqlalchemy as sa
import strawberry

from app.db.models import Membership
from app.policy import Action, visible
from app.query.declare import Chosen, Value, reads
from app.rules import CATALOG, SECONDARY_CONTACT_SEATS, Privilege, Role, check_levels
from app.schema import filters
from app.schema.catalog import Application, application
from app.schema.enums import Role as RoleEnum

BOTH, USERS_ONLY = [Role.SECONDARY_CONTACT, Role.USER], [Role.USER]
_other = sa.orm.aliased(Membership)
_seats_taken = (
    sa.select(sa.func.count(_other.seat))
    # Named one by one, the seats are found by their index.
    .where(_other.site_id == Membership.site_id, _other.seat.in_(range(1, SECONDARY_CONTACT_SEATS + 1)))
    .correlate(Membership)
    .scalar_subquery()
)
HAS_SEAT = sa.or_(Membership.seat.is_not(None), _seats_taken < SECONDARY_CONTACT_SEATS)
"""Whether a member can be a secondary contact: they are one, or there is a free seat."""
SEATS_LEFT = filters.remaining_seats > 0


def by_seat(action: Action, has_seat: Any, both: Any, users_only: Any, most: int = 1) -> Chosen:
    """One thing while there is a seat, another when there is none; nothing for those who may give nothing."""

    def cases(caller: Any, table: Any) -> list[Any]:
        allowed = visible(caller, action, table)
        return [(sa.and_(allowed, has_seat), both), (allowed, users_only)]

    return Chosen(cases, [], most)


def assignable_roles(action: Action, has_seat: Any, description: str) -> Any:
    """The roles that the caller may give."""
    return reads(by_seat(action, has_seat, BOTH, USERS_ONLY), description, action)


def assignable_levels(description: str) -> Any:
    """The levels that the caller may give with each of those roles."""
    values = [_levels_with(role) for role in BOTH]
    chosen = by_seat(Action.ADD_USER, SEATS_LEFT, values, values[1:], most=len(values))
    return reads(chosen, description, Action.ADD_USER)


def _levels_with(role: Role) -> dict[str, Any]:
    given = [privilege for privilege in CATALOG if privilege.editable]
    return {"role": role, "applications": [_at_most(privilege, role) for privilege in given]}


def _at_most(privilege: Privilege, role: Role) -> dict[str, Any]:
    """An application with the levels that fit a role."""
    levels = [level for level in privilege.levels if not any(check_levels(role, {privilege.name: level}))]
    return application(privilege) | {"levels": levels}


@strawberry.type(description="The levels that can be given with a role.")
class AssignableLevels:
    """Levels that can be given with a role."""

    role: RoleEnum = reads(Value(lambda row, *_: row["role"]), "With which role.")
    applications: list[Application] = reads(
        Value(lambda row, *_: row["applications"]),
        "Every application whose level can be set, with those of its levels that fit the role.",
    )
