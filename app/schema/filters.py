"""What the arguments of lists and lookups mean, as conditions and orders."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.db.models import AccessRequest, Contact, Membership, Site, User
from app.errors import bad_input
from app.query.ids import parse_id
from app.rules import PRIVILEGES, SECONDARY_CONTACT_SEATS, ContactType, camel
from app.texts import fold, is_readable, site_number

Arguments = Mapping[str, Any]
Conditions = list[sa.ColumnElement[bool]]
SEARCH_LENGTH = 100


def held(name: str) -> Any:
    """The level of a privilege that a membership holds; the primary contact's is the highest."""
    column = getattr(Membership, name)
    return sa.func.coalesce(column, sa.literal(PRIVILEGES[name].highest, column.type))


def key_of(value: str, kind: str) -> UUID:
    """The key in an id given by a program. Raises BAD_USER_INPUT when it is the id of something else."""
    parsed = parse_id(value)
    if not parsed or parsed[0] != kind:
        raise bad_input(f"This is not the id of a {kind}.")
    return parsed[1]


def one_site(arguments: Arguments, caller: Any) -> Conditions:
    """The site with this id or this number."""
    site_id, number = arguments.get("id"), arguments.get("number")
    if (site_id is None) == (number is None):
        raise bad_input("Give either id or number.")
    if site_id is not None:
        return [Site.id == key_of(site_id, "site")]
    return [Site.number == site_number(str(number)) if is_searchable(str(number)) else sa.false()]


def memberships(arguments: Arguments, caller: Any) -> Conditions:
    """The memberships that a `MembershipFilter` leaves."""
    wanted = arguments.get("filter") or {}
    conditions: Conditions = []
    if wanted.get("roles") is not None:
        conditions.append(Membership.role.in_(wanted["roles"]))
    if wanted.get("text"):
        conditions.extend(_contains_words(wanted["text"]))
    for name, level in _levels(wanted.get("privilegesAtLeast") or {}):
        conditions.append(held(name) >= sa.literal(level, getattr(Membership, name).type))
    return conditions


def _levels(given: Arguments) -> list[tuple[str, Any]]:
    found = []
    for name, privilege in PRIVILEGES.items():
        holder = (given.get("accountManagement") or {}) if privilege.group else given
        if holder.get(camel(name)) is not None:
            found.append((name, holder[camel(name)]))
    return found


def _contains_words(text: str) -> Conditions:
    if len(text) > SEARCH_LENGTH or not is_searchable(text):
        raise bad_input(f"A text to search for has at most {SEARCH_LENGTH} readable characters.")
    searched = User.sort_name + " " + sa.func.lower(User.email) + " " + sa.func.lower(User.ibm_id)
    return [searched.contains(word, autoescape=True) for word in fold(text).split()]


def is_searchable(text: str) -> bool:
    """Whether the database can compare with this text at all."""
    return all(map(is_readable, text))


def access_requests(arguments: Arguments, caller: Any) -> Conditions:
    """The requests that an `AccessRequestFilter` leaves."""
    states = (arguments.get("filter") or {}).get("states")
    return [] if states is None else [AccessRequest.current_state.in_(states)]


def holds(kind: ContactType) -> sa.ColumnElement[bool]:
    """The contact has this type."""
    return sa.literal(kind, Contact.types.type.item_type) == sa.any_(Contact.types)


def contacts(arguments: Arguments, caller: Any) -> Conditions:
    """The contacts that hold a type, or all."""
    wanted = arguments.get("type")
    return [] if wanted is None else [holds(wanted)]


def contact_for(arguments: Arguments, caller: Any) -> Conditions:
    """Whoever holds the type, and the primary contact record, which stands in for them."""
    return [sa.or_(holds(arguments["type"]), holds(ContactType.PRIMARY))]


def holder_first(arguments: Arguments) -> list[Any]:
    """The holder before the one who stands in, and of several the one written first."""
    return [sa.not_(holds(arguments["type"])), Contact.created_at, Contact.id]


def primary_first(arguments: Arguments) -> list[Any]:
    """The primary contact record, then the others by name."""
    return [
        sa.not_(holds(ContactType.PRIMARY)),
        sa.func.lower(Contact.last_name),
        sa.func.lower(Contact.first_name),
        Contact.id,
    ]


def own_membership(arguments: Arguments, caller: Any) -> Conditions:
    """The membership of who calls."""
    return [Membership.user_id == caller.actor.user_id]


remaining_seats = SECONDARY_CONTACT_SEATS - (
    sa.select(sa.func.count(Membership.seat))
    .where(Membership.site_id == Site.id)
    .correlate(Site)
    .scalar_subquery()
)
"""How many secondary contacts a site can still have."""
