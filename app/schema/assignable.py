"""Which roles and levels the caller may give, here and now."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
import strawberry

from app.db.models import Membership
from app.policy import Action, visible
from app.query.declare import Chosen, Some, Value, reads
from app.rules import PRIVILEGES, SECONDARY_CONTACT_SEATS, Level, Privilege, Role, check_levels
from app.schema import filters
from app.schema.catalog import Application, application, level_values
from app.schema.enums import Role as RoleEnum

_own, _other = sa.orm.aliased(Membership), sa.orm.aliased(Membership)
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


def assignable_roles(action: Action, has_seat: Any, description: str) -> Any:
    """The roles that the caller may give."""
    return reads(_by_role(action, has_seat, lambda role, caller, table: role), description, action)


def assignable_levels(description: str) -> Any:
    """The levels that the caller may give with each of those roles."""
    return reads(_by_role(Action.ADD_USER, SEATS_LEFT, _levels_with), description, Action.ADD_USER)


def _by_role(action: Action, has_seat: Any, value_of: Callable[[Role, Any, Any], Any]) -> Chosen:
    """Something for each role that can be given; nothing for those who may give nothing."""
    conditions = {Role.SECONDARY_CONTACT: has_seat, Role.USER: sa.true()}

    def cases(caller: Any, table: Any) -> list[Any]:
        roles = Some([(so, value_of(role, caller, table)) for role, so in conditions.items()])
        return [(visible(caller, action, table), roles)]

    return Chosen(cases, [], len(conditions))


def _levels_with(role: Role, caller: Any, site: Any) -> dict[str, Any]:
    applications = [
        application(privilege) | {"levels": _levels(privilege, role, caller, site)}
        for privilege in PRIVILEGES.values()
    ]
    return {"role": role, "applications": applications}


def _levels(privilege: Privilege, role: Role, caller: Any, site: Any) -> Some:
    """The levels of an application that fit a role and that the site's rules let the caller give."""
    fitting = (level for level in privilege.levels if not any(check_levels(role, {privilege.name: level})))
    return Some([(_may_give(privilege.name, level, caller, site), level_values(level)) for level in fitting])


def _may_give(name: str, level: Level, caller: Any, site: Any) -> sa.ColumnElement[bool]:
    """Whether the rules of a site let somebody who manages access there give a level (see `limits.most_to_give`)."""
    if level.rank == 0:
        return sa.true()
    # The primary contact's levels are not stored, so none of them is below another.
    holds_less = sa.exists().where(
        _own.site_id == site.id, _own.user_id == caller.user_id, getattr(_own, name) < level
    )
    return sa.not_(sa.and_(site.grant_at_most_held, holds_less.correlate(site)))


@strawberry.type(description="The levels that can be given with a role.")
class AssignableLevels:
    """Levels that can be given with a role."""

    role: RoleEnum = reads(Value(lambda row, *_: row["role"]), "With which role.")
    applications: list[Application] = reads(
        Value(lambda row, *_: row["applications"]),
        "Every application whose level can be set, with those of its levels that can be given with the role.",
    )
