"""Which roles and levels the caller may give, here and now."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
import strawberry

from app.db.deciders import Decider
from app.db.models import AccessRequest, Membership, Site
from app.db.site_rules import Naming
from app.policy import Action, visible
from app.query.declare import Chosen, Some, Value, reads
from app.rules import (
    PRIVILEGES,
    SECONDARY_CONTACT_SEATS,
    AccessRequestState,
    Level,
    Privilege,
    Role,
    check_levels,
)
from app.schema import filters
from app.schema.catalog import Application, application, level_values
from app.schema.enums import Role as RoleEnum
from app.site_rules import NamingState

Condition = Callable[[Any, Any], sa.ColumnElement[bool]]
"""Makes a condition for a caller and a table."""

_own, _other = sa.orm.aliased(Membership), sa.orm.aliased(Membership)
_seats_taken = (
    sa.select(sa.func.count(_other.seat))
    # Named one by one, the seats are found by their index.
    .where(_other.site_id == Membership.site_id, _other.seat.in_(range(1, SECONDARY_CONTACT_SEATS + 1)))
    .correlate(Membership)
    .scalar_subquery()
)
_HAS_SEAT = sa.or_(Membership.seat.is_not(None), _seats_taken < SECONDARY_CONTACT_SEATS)
_IS_NAMED = sa.and_(Membership.role == Role.SECONDARY_CONTACT, Membership.active)
_second_person_confirms = (
    sa.select(Site.second_person_confirms)
    .where(Site.id == Membership.site_id)
    .correlate(Membership)
    .scalar_subquery()
)
_WAITS = (
    sa.exists()
    .select_from(sa.outerjoin(Naming, AccessRequest, AccessRequest.id == Naming.access_request_id))
    .where(
        Naming.site_id == Membership.site_id,
        Naming.user_id == Membership.user_id,
        Naming.state == NamingState.PENDING,
        # A naming by a request that has run out is void.
        sa.or_(AccessRequest.id.is_(None), AccessRequest.current_state == AccessRequestState.PENDING),
    )
    .correlate(Membership)
)


def newcomer_can_be_named(caller: Any, site: Any) -> sa.ColumnElement[bool]:
    """Whether a new member can become a secondary contact, if need be once a second person has confirmed it."""
    confirmable = sa.or_(sa.not_(site.second_person_confirms), _somebody_else_decides(caller, site))
    return sa.and_(filters.remaining_seats > 0, confirmable)


def member_can_be_named(caller: Any, membership: Any) -> sa.ColumnElement[bool]:
    """Whether a member is a secondary contact, or can become one like a new member."""
    confirmable = sa.and_(_somebody_else_decides(caller, membership), sa.not_(_WAITS))
    return sa.and_(_HAS_SEAT, sa.or_(_IS_NAMED, sa.not_(_second_person_confirms), confirmable))


def _somebody_else_decides(caller: Any, table: Any) -> sa.ColumnElement[bool]:
    somebody = sa.exists().where(Decider.site_id == table.site_id, Decider.user_id != caller.user_id)
    return somebody.correlate(table)


def assignable_roles(action: Action, can_be_named: Condition, description: str) -> Any:
    """The roles that the caller may give."""
    return reads(_by_role(action, can_be_named, lambda role, caller, table: role), description, action)


def assignable_levels(description: str) -> Any:
    """The levels that the caller may give with each of those roles."""
    return reads(_by_role(Action.ADD_USER, newcomer_can_be_named, _levels_with), description, Action.ADD_USER)


def _by_role(action: Action, can_be_named: Condition, value_of: Callable[[Role, Any, Any], Any]) -> Chosen:
    """Something for each role that can be given; nothing for those who may give nothing."""

    def cases(caller: Any, table: Any) -> list[Any]:
        conditions = {Role.SECONDARY_CONTACT: can_be_named(caller, table), Role.USER: sa.true()}
        roles = Some([(so, value_of(role, caller, table)) for role, so in conditions.items()])
        return [(visible(caller, action, table), roles)]

    return Chosen(cases, [], most=2)


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
