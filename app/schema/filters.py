"""What the arguments of lists and lookups mean, as conditions and orders."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.models import AccessRequest, Contact, HistoryEvent, Membership, Site, User
from app.db.nominations import Nomination
from app.db.outbox import Message
from app.db.preferences import ENotificationPreference
from app.db.webhooks import WebhookDelivery
from app.errors import bad_input
from app.query.declare import Arguments
from app.query.ids import parse_id
from app.rules import (
    HEARD_BY,
    PRIVILEGES,
    SECONDARY_CONTACT_SEATS,
    ContactType,
    NominationState,
    OverviewLevel,
)
from app.schema.search import contains, plain
from app.texts import fold, is_readable, site_number

Conditions = list[sa.ColumnElement[bool]]
NO_MOMENT = "A moment is given after RFC 3339, with its offset from UTC, such as 2026-03-01T09:30:00Z."
RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII
)
"""A moment as section 5.6 has it, which lets T and Z be small letters, and a space stand for the T."""
NO_NUMBER = ""
"""A number that no site has, because the database refuses it."""
CONTACT_TYPE = Contact.types.type.item_type


def held(name: str, table: Any = Membership) -> Any:
    """The level of a privilege that a membership holds; the primary contact's is the highest."""
    column = getattr(table, name)
    return sa.func.coalesce(column, sa.literal(PRIVILEGES[name].highest, column.type))


def effective(name: str) -> Any:
    """The level of a privilege that a member may use at this moment: none once access has ended."""
    column = getattr(Membership, name)
    none = sa.literal(next(iter(PRIVILEGES[name].levels)), column.type)
    return sa.case((Membership.active, held(name)), else_=none)


effective_overview = sa.case(
    (Membership.active, sa.literal(OverviewLevel.VIEW, sa.Enum(OverviewLevel, native_enum=False)))
)
"""The overview of the contacts, which every member may see while access lasts."""


def key_of(value: str, kind: str) -> UUID:
    """The key in an id given by a program. Raises BAD_USER_INPUT when it is the id of something else."""
    parsed = parse_id(value)
    if not parsed or parsed[0] != kind:
        raise bad_input(f"This is not the id of a {kind}.")
    return parsed[1]


def moment_of(value: Any) -> datetime:
    """A moment given by a program. Raises BAD_USER_INPUT when it is none, or nobody knows when: it needs an offset."""
    # The standard library reads much more: weeks, days alone, and hours without minutes.
    if not isinstance(value, str) or not RFC_3339.fullmatch(value):
        raise bad_input(NO_MOMENT)
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise bad_input(NO_MOMENT) from error


def one_site(arguments: Arguments, actor: Any) -> Conditions:
    """The site with this id or this number."""
    if arguments.has("id") == arguments.has("number"):
        raise bad_input("Give either id or number.")
    if arguments.has("id"):
        return [Site.id == arguments.value(sa.Uuid, "id", convert=lambda value: key_of(value, "site"))]
    return [Site.number == arguments.value(sa.Text, "number", convert=searched_number)]


def searched_number(number: str) -> str:
    """A site number to look for, as it is kept, or one that no site has."""
    return site_number(number) if is_readable(number) else NO_NUMBER


def memberships(arguments: Arguments, actor: Any) -> Conditions:
    """The memberships that a `MembershipFilter` leaves."""
    conditions: Conditions = []
    if arguments.has("filter", "roles"):
        roles = arguments.value(ARRAY(Membership.role.type), "filter", "roles")
        conditions.append(Membership.role == sa.any_(roles))
    if arguments.has("filter", "text"):
        # Names are kept folded, to be sorted; of addresses, few have anything to fold.
        searched = User.sort_name + " " + plain(User.email, User.ibm_id)
        conditions.append(contains(arguments, searched, fold))
    if arguments.has("filter", "active"):
        conditions.append(Membership.active == arguments.value(sa.Boolean, "filter", "active"))
    for name, privilege in PRIVILEGES.items():
        path = ("filter", "privilegesAtLeast", *privilege.path)
        if arguments.has(*path):
            conditions.append(effective(name) >= arguments.value(getattr(Membership, name).type, *path))
    return conditions


def access_requests(arguments: Arguments, actor: Any) -> Conditions:
    """The requests that an `AccessRequestFilter` leaves."""
    conditions: Conditions = []
    if arguments.has("filter", "states"):
        states = arguments.value(ARRAY(AccessRequest.state.type), "filter", "states")
        conditions.append(AccessRequest.current_state == sa.any_(states))
    if arguments.has("filter", "kinds"):
        kinds = arguments.value(ARRAY(AccessRequest.kind.type), "filter", "kinds")
        conditions.append(AccessRequest.kind == sa.any_(kinds))
    return conditions


def pending_nominations(arguments: Arguments, actor: Any) -> Conditions:
    """The nominations that wait for an answer."""
    return [Nomination.current_state == NominationState.PENDING]


def oldest_first(arguments: Arguments) -> list[Any]:
    """Nominations in the order in which they were made."""
    return [Nomination.created_at, Nomination.id]


def webhook_deliveries(arguments: Arguments, actor: Any) -> Conditions:
    """The deliveries that a `WebhookDeliveryFilter` leaves."""
    if not arguments.has("filter", "states"):
        return []
    states = arguments.value(ARRAY(WebhookDelivery.state.type), "filter", "states")
    return [WebhookDelivery.state == sa.any_(states)]


def messages(arguments: Arguments, actor: Any) -> Conditions:
    """The messages that a `MessageFilter` leaves."""
    if not arguments.has("filter", "states"):
        return []
    states = arguments.value(ARRAY(Message.state.type), "filter", "states")
    return [Message.state == sa.any_(states)]


def _holds_type(arguments: Arguments) -> sa.ColumnElement[bool]:
    wanted: sa.ColumnElement[Any] = arguments.value(CONTACT_TYPE, "type")
    return wanted == sa.any_(Contact.types)


_is_primary: sa.ColumnElement[bool] = sa.literal(ContactType.PRIMARY, CONTACT_TYPE) == sa.any_(Contact.types)


def contacts(arguments: Arguments, actor: Any) -> Conditions:
    """The contacts that hold a type, or all."""
    return [_holds_type(arguments)] if arguments.has("type") else []


def contact_for(arguments: Arguments, actor: Any) -> Conditions:
    """Whoever holds the type, and the primary contact record, which stands in for them."""
    return [sa.or_(_holds_type(arguments), _is_primary)]


def recipients(arguments: Arguments, actor: Any) -> Conditions:
    """The contacts who hear of a topic; where nobody holds a type for it, the primary contact record."""
    held = arguments.value(Contact.types.type, "topic", convert=lambda topic: list(HEARD_BY[topic]))
    other = sa.orm.aliased(Contact)
    somebody = sa.exists().where(other.site_id == Contact.site_id, other.types.overlap(held))
    return [sa.or_(Contact.types.overlap(held), sa.and_(_is_primary, sa.not_(somebody.correlate(Contact))))]


def holder_first(arguments: Arguments) -> list[Any]:
    """The holder before the one who stands in, and of several the one written first."""
    return [sa.not_(_holds_type(arguments)), Contact.created_at, Contact.id]


def primary_first(arguments: Arguments) -> list[Any]:
    """The primary contact record, then the others by name."""
    return [sa.not_(_is_primary), Contact.sort_name, Contact.id]


def own_membership(arguments: Arguments, actor: Any) -> Conditions:
    """The membership of who calls."""
    return [Membership.user_id == actor.user_id]


def _preference(column: Any) -> Any:
    """What the row's person has set; null when they have set nothing yet."""
    chosen = sa.select(column).where(ENotificationPreference.user_id == User.id)
    return chosen.correlate(User).scalar_subquery()


chosen_email = _preference(ENotificationPreference.email)
"""Where a person wants their eNotifications; null for the address of their account."""
chosen_topics = sa.func.coalesce(
    _preference(ENotificationPreference.topics),
    sa.cast(sa.literal_column("'{}'"), ENotificationPreference.topics.type),
)
"""Of what a person wants to be told by eNotification."""
chosen_version = sa.func.coalesce(_preference(ENotificationPreference.version), 0)
"""How often a person has set their eNotifications."""
remaining_seats = SECONDARY_CONTACT_SEATS - (
    sa.select(sa.func.count(Membership.seat))
    .where(Membership.site_id == Site.id, Membership.seat.is_not(None))
    .correlate(Site)
    .scalar_subquery()
)
"""How many secondary contacts a site can still have."""

last_event_id = (
    sa.select(sa.literal("event_", literal_execute=True) + sa.func.encode(HistoryEvent.hash, "hex"))
    .where(HistoryEvent.stream == Site.id)
    .order_by(HistoryEvent.number.desc())
    .limit(sa.literal(1, literal_execute=True))
    .correlate(Site)
    .scalar_subquery()
)
"""The id of a site's newest event, as `app.live.changes` writes it."""
