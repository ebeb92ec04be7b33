"""Who may do what: one table, and its readings.

`RULES` says it once. From it come the decision about a row (`allows`), the SQL predicate over rows (`visible`),
the sentence of a denial (`denial`, and over rows `denials`) and the sentence of the schema (`sentence`). Any line whose
tests all hold allows. Source: the domain page, "Who may do what".
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, array

from app.actor import Actor, Standing
from app.db.base import Base
from app.db.deciders import Decider
from app.db.models import AccessRequest, Contact, HistoryEvent, Membership, Site, User
from app.db.nominations import Nomination
from app.db.outbox import Message
from app.db.preferences import CalendarSubscription
from app.db.site_rules import BlockedRequester, Naming, PrivilegeTemplate
from app.db.webhooks import Webhook, WebhookDelivery
from app.errors import message
from app.language import Words, words
from app.rules import Level, PrivilegeName, Role, UpdateLevel


class Action(Enum):
    """Everything that somebody may or may not do."""

    SEE_SITE = auto()
    SEE_CONTACTS = auto()
    SEE_CONTACT_DETAILS = auto()
    CHANGE_CONTACTS = auto()
    SEE_MEMBERSHIP = auto()
    SEE_ACCESS_REQUEST = auto()
    SEE_USERS = auto()
    SEE_HISTORY = auto()
    SEE_WRITTEN = auto()
    SEE_ACTOR = auto()
    DECIDE_ACCESS_REQUEST = auto()
    ADD_USER = auto()
    UPDATE_MEMBERSHIP = auto()
    REMOVE_MEMBERSHIP = auto()
    REQUEST_ACCESS = auto()
    WITHDRAW_ACCESS_REQUEST = auto()
    REQUEST_HIGHER_LEVEL = auto()
    REQUEST_EXTENSION = auto()
    LEAVE_SITE = auto()
    NOMINATE_PRIMARY_CONTACT = auto()
    SEE_NOMINATION = auto()
    ANSWER_NOMINATION = auto()
    MANAGE_API_TOKENS = auto()
    SEE_E_NOTIFICATIONS = auto()
    UPDATE_E_NOTIFICATIONS = auto()
    SUBSCRIBE_TO_CALENDAR = auto()
    SEE_CALENDAR_SUBSCRIPTION = auto()
    REVOKE_CALENDAR_SUBSCRIPTION = auto()
    MANAGE_WEBHOOKS = auto()
    UPDATE_SITE_RULES = auto()
    MANAGE_BLOCKED_REQUESTERS = auto()
    MANAGE_PRIVILEGE_TEMPLATES = auto()
    CONFIRM_NAMING = auto()
    REJECT_NAMING = auto()
    SEE_MESSAGES = auto()
    SEE_DECIDERS = auto()
    CHECK_ACCESS = auto()
    MANAGE_ACCESS = auto()


class Subject(Protocol):
    """What an action is about: a row with its site, and the person it belongs to where there is one."""

    @property
    def site_id(self) -> Any: ...


@dataclass(frozen=True)
class At:
    """A test of what the caller is at the row's site; `None` stands for no active membership.

    `privilege` is the one that a secondary contact has to hold for it.
    """

    words: str
    holds: Callable[[Standing | None], bool]
    privilege: PrivilegeName | None = None


@dataclass(frozen=True)
class Of:
    """A test of the row and the caller; on the class of the row instead of a row, it is the SQL condition."""

    words: str
    denial: str
    holds: Callable[[Any, Any], Any]


def _secondary(words: str, privilege: PrivilegeName, level: Level) -> At:
    def holds(at: Standing | None) -> bool:
        is_secondary = at is not None and at.role is Role.SECONDARY_CONTACT
        return is_secondary and bool(getattr(at, privilege.value) >= level)

    return At(words, holds, privilege)


PRIMARY = At(message("the primary contact"), lambda at: at is not None and at.role is Role.PRIMARY_CONTACT)
SECONDARY = At(
    message("a secondary contact"), lambda at: at is not None and at.role is Role.SECONDARY_CONTACT
)
USER = At(message("a user of the site"), lambda at: at is not None and at.role is Role.USER)
MEMBER = At(message("every member of the site"), lambda at: at is not None)
STRANGER = At(message("everyone signed in who is not a member of the site"), lambda at: at is None)
ACTIVE = At(message("only while access lasts"), lambda at: at is not None)
ACCESS_VIEWER = _secondary(
    message("a secondary contact with manage access VIEW or UPDATE"),
    PrivilegeName.MANAGE_ACCESS,
    UpdateLevel.VIEW,
)
ACCESS_MANAGER = _secondary(
    message("a secondary contact with manage access UPDATE"), PrivilegeName.MANAGE_ACCESS, UpdateLevel.UPDATE
)
CONTACT_VIEWER = _secondary(
    message("a secondary contact with contact updates VIEW or UPDATE"),
    PrivilegeName.CONTACT_UPDATES,
    UpdateLevel.VIEW,
)
CONTACT_MANAGER = _secondary(
    message("a secondary contact with contact updates UPDATE"),
    PrivilegeName.CONTACT_UPDATES,
    UpdateLevel.UPDATE,
)

OWN = Of(
    message("the person it belongs to"),
    message("This belongs to somebody else."),
    lambda actor, row: row.user_id == actor.user_id,
)
NOT_OWN = Of(
    message("never for what is one's own"),
    message("Nobody decides or changes their own access."),
    lambda actor, row: row.user_id != actor.user_id,
)
OUTLASTING = Of(
    message("one's own requests and one's own person always"),
    message("This is told only while access lasts."),
    lambda actor, row: row.outlasts_access,
)
CONTACT_WORK = Of(
    message("of contacts, what one did oneself"),
    message("Somebody else did this, or it is not about contacts."),
    lambda actor, row: row.contact_worker_id == actor.user_id,
)
DOER = Of(
    message("whoever did it"),
    message("Somebody else did this."),
    lambda actor, row: row.actor_id == actor.user_id,
)
NOT_PRIMARY = Of(
    message("never for the primary contact's membership"),
    message("Nobody but an operator changes the access of the primary contact."),
    lambda actor, row: row.role != Role.PRIMARY_CONTACT,
)
NOT_PROPOSED = Of(
    message("never by whoever proposed it"),
    message("Somebody else than you, who proposed this, has to confirm it."),
    lambda actor, row: row.proposed_by_id != actor.user_id,
)

Line = tuple[At | Of, ...]

HISTORY: tuple[Line, ...] = ((PRIMARY,), (ACCESS_VIEWER,), (OWN, ACTIVE), (OWN, OUTLASTING))

RULES: dict[Action, tuple[Line, ...]] = {
    Action.SEE_SITE: ((MEMBER,),),
    Action.SEE_CONTACTS: ((MEMBER,),),
    Action.SEE_CONTACT_DETAILS: ((PRIMARY,), (CONTACT_VIEWER,)),
    Action.CHANGE_CONTACTS: ((PRIMARY,), (CONTACT_MANAGER,)),
    Action.SEE_MEMBERSHIP: ((PRIMARY,), (ACCESS_VIEWER,), (OWN, ACTIVE)),
    Action.SEE_ACCESS_REQUEST: ((PRIMARY,), (ACCESS_VIEWER,), (OWN,)),
    Action.SEE_USERS: ((PRIMARY,), (ACCESS_VIEWER,)),
    Action.SEE_HISTORY: HISTORY,
    Action.SEE_WRITTEN: (*HISTORY, (CONTACT_VIEWER, CONTACT_WORK)),
    Action.SEE_ACTOR: ((PRIMARY,), (ACCESS_VIEWER,), (DOER,)),
    Action.DECIDE_ACCESS_REQUEST: ((PRIMARY, NOT_OWN), (ACCESS_MANAGER, NOT_OWN)),
    Action.ADD_USER: ((PRIMARY,), (ACCESS_MANAGER,)),
    Action.UPDATE_MEMBERSHIP: ((PRIMARY, NOT_OWN, NOT_PRIMARY), (ACCESS_MANAGER, NOT_OWN, NOT_PRIMARY)),
    Action.REMOVE_MEMBERSHIP: ((PRIMARY, NOT_OWN, NOT_PRIMARY), (ACCESS_MANAGER, NOT_OWN, NOT_PRIMARY)),
    Action.REQUEST_ACCESS: ((STRANGER,),),
    Action.WITHDRAW_ACCESS_REQUEST: ((OWN,),),
    Action.REQUEST_HIGHER_LEVEL: ((SECONDARY,), (USER,)),
    # Also when the access has ended: it is then that one needs it most.
    Action.REQUEST_EXTENSION: ((OWN, NOT_PRIMARY),),
    Action.LEAVE_SITE: ((SECONDARY,), (USER,)),
    Action.NOMINATE_PRIMARY_CONTACT: ((PRIMARY,),),
    Action.SEE_NOMINATION: ((PRIMARY,), (ACCESS_VIEWER,), (OWN,)),
    Action.ANSWER_NOMINATION: ((OWN, ACTIVE),),
    Action.MANAGE_API_TOKENS: ((PRIMARY,), (ACCESS_MANAGER,)),
    Action.SEE_E_NOTIFICATIONS: ((OWN,),),
    Action.UPDATE_E_NOTIFICATIONS: ((OWN,),),
    Action.SUBSCRIBE_TO_CALENDAR: ((PRIMARY,),),
    Action.SEE_CALENDAR_SUBSCRIPTION: ((OWN,),),
    Action.REVOKE_CALENDAR_SUBSCRIPTION: ((OWN,),),
    Action.MANAGE_WEBHOOKS: ((PRIMARY,), (ACCESS_MANAGER,)),
    Action.UPDATE_SITE_RULES: ((PRIMARY,),),
    Action.MANAGE_BLOCKED_REQUESTERS: ((PRIMARY,), (ACCESS_MANAGER,)),
    Action.MANAGE_PRIVILEGE_TEMPLATES: ((PRIMARY,), (ACCESS_MANAGER,)),
    Action.CONFIRM_NAMING: ((PRIMARY, NOT_OWN, NOT_PROPOSED), (ACCESS_MANAGER, NOT_OWN, NOT_PROPOSED)),
    Action.REJECT_NAMING: ((PRIMARY, NOT_OWN), (ACCESS_MANAGER, NOT_OWN)),
    Action.SEE_MESSAGES: ((PRIMARY,), (ACCESS_MANAGER,)),
    Action.SEE_DECIDERS: ((MEMBER,),),
    Action.CHECK_ACCESS: ((PRIMARY,), (ACCESS_VIEWER,), (OWN,)),
    Action.MANAGE_ACCESS: ((PRIMARY,), (ACCESS_MANAGER,)),
}

SEEING: dict[type[Base], Action] = {
    Site: Action.SEE_SITE,
    Contact: Action.SEE_CONTACTS,
    Membership: Action.SEE_MEMBERSHIP,
    AccessRequest: Action.SEE_ACCESS_REQUEST,
    CalendarSubscription: Action.SEE_CALENDAR_SUBSCRIPTION,
    Nomination: Action.SEE_NOMINATION,
    HistoryEvent: Action.SEE_HISTORY,
    Webhook: Action.MANAGE_WEBHOOKS,
    WebhookDelivery: Action.MANAGE_WEBHOOKS,
    BlockedRequester: Action.SEE_USERS,
    PrivilegeTemplate: Action.SEE_USERS,
    Naming: Action.SEE_USERS,
    Message: Action.SEE_MESSAGES,
    Decider: Action.SEE_DECIDERS,
}
"""The action that seeing a row of a table is. What one may not see does not exist."""

HEARING: dict[str, Action] = {
    "site": Action.SEE_SITE,
    "contact": Action.SEE_CONTACTS,
    "membership": Action.SEE_MEMBERSHIP,
    "access_request": Action.SEE_ACCESS_REQUEST,
    "nomination": Action.SEE_NOMINATION,
}
"""By the subject of an event, the action that hearing of it is; whatever else happens takes `SEE_HISTORY`."""


def hears(actor: Actor, subject_type: str, event: Subject) -> bool:
    """Whether the caller may hear of an event at this moment."""
    return allows(actor, HEARING.get(subject_type, Action.SEE_HISTORY), event)


def standing(table: Any = Membership) -> tuple[Any, ...]:
    """The values of a `Standing`, as a membership holds them: the primary contact's levels are not stored."""
    highest = sa.literal(UpdateLevel.UPDATE, Membership.manage_access.type)
    levels = (sa.func.coalesce(level, highest) for level in (table.manage_access, table.contact_updates))
    return (table.role, *levels)


def allows(actor: Actor, action: Action, row: Subject) -> bool:
    """Whether the caller may do this with this row, at this moment."""
    return actor.user_id is not None and any(_lines_that_hold(actor, action, row))


def privilege_used(actor: Actor, action: Action, row: Subject) -> PrivilegeName | None:
    """The privilege of a secondary contact without which the caller might not do this; none where they might."""
    used = [_privilege_of(line) for line in _lines_that_hold(actor, action, row)]
    return used[0] if used and all(used) else None


def _privilege_of(line: Line) -> PrivilegeName | None:
    return next((test.privilege for test in line if isinstance(test, At) and test.privilege), None)


def _lines_that_hold(actor: Actor, action: Action, row: Subject) -> Iterator[Line]:
    return (line for line in RULES[action] if all(_holds(test, actor, row) for test in line))


def _holds(test: At | Of, actor: Actor, row: Any) -> bool:
    if isinstance(test, At):
        return test.holds(actor.standings.get(row.site_id))
    return bool(test.holds(actor, row))


class Caller(Protocol):
    """Who calls, in conditions: an actor, or what stands in for one while a statement is compiled."""

    @property
    def user_id(self) -> Any: ...
    def sites_where(self, holds: Callable[[Standing], bool]) -> Any:
        """The sites at which the caller's standing passes a test."""
        ...


def visible(actor: Caller, action: Action, table: Any, site_id: Any = None) -> sa.ColumnElement[bool]:
    """The same decision as a condition over the rows of a table, which are those of one site when it is given."""
    if actor.user_id is None:
        return sa.false()
    lines = ((_condition(test, actor, table, site_id) for test in line) for line in RULES[action])
    return sa.or_(*(sa.and_(*line) for line in lines))


def _condition(test: At | Of, actor: Caller, table: Any, site_id: Any = None) -> sa.ColumnElement[bool]:
    if isinstance(test, Of):
        condition: sa.ColumnElement[bool] = test.holds(actor, table)
        return condition
    site_id = table.site_id if site_id is None else site_id
    if not test.holds(None):
        return _one_of(site_id, actor.sites_where(test.holds))
    failing = _one_of(site_id, actor.sites_where(lambda at: not test.holds(at)))
    return sa.func.coalesce(sa.not_(failing), sa.true())


def _one_of(column: Any, ids: Any) -> Any:
    # One array parameter instead of a list, so that the statement stays the same for every caller.
    return column == sa.any_(ids if isinstance(ids, sa.ColumnElement) else sa.literal(ids, ARRAY(sa.Uuid)))


def has_rule(table: Any) -> bool:
    """Whether it is said who sees the rows of a table."""
    return table in SEEING or table is User


def seen(actor: Caller, table: Any, site_id: Any = None) -> sa.ColumnElement[bool]:
    """Which rows of a table, or of a site in it, exist for the caller, by whatever path they are reached."""
    return _seen_users(actor) if table is User else visible(actor, SEEING[table], table, site_id)


def _seen_users(actor: Caller) -> sa.ColumnElement[bool]:
    """Oneself, and the people who appear in what one may see of a site, and those who were written to about it."""
    appearances = (
        sa.select(sa.func.unnest(array(columns)))
        .where(visible(actor, action, columns[0].class_))
        .correlate(None)
        for action, *columns in (
            (Action.SEE_USERS, Membership.user_id),
            (Action.SEE_USERS, AccessRequest.requester_id, AccessRequest.decided_by_id),
            (Action.SEE_NOMINATION, Nomination.user_id, Nomination.nominated_by_id),
            (Action.SEE_USERS, Naming.user_id, Naming.proposed_by_id, Naming.decided_by_id),
            (Action.SEE_USERS, BlockedRequester.blocked_by_id),
            (Action.MANAGE_WEBHOOKS, Webhook.created_by_id),
        )
    )
    # Messages are many: they are looked for by person, when a person appears nowhere else.
    written_to = sa.exists().where(
        Message.recipient_id == User.id, visible(actor, Action.SEE_MESSAGES, Message)
    )
    return sa.or_(
        User.id == actor.user_id,
        *(User.id.in_(appearance) for appearance in appearances),
        written_to.correlate(User),
    )


def denial(actor: Actor, action: Action, row: Subject, translate: Callable[[str], str] = str) -> str:
    """Why not: the first condition on the row that fails where the caller's role would do, or else who may."""
    for before, test in _tests_of_row(action):
        if all(_holds(other, actor, row) for other in before) and not _holds(test, actor, row):
            return translate(test.denial)
    return who_may(action).tell(translate)


def denials(actor: Caller, action: Action, table: Any) -> list[tuple[sa.ColumnElement[bool], Words]]:
    """The sentences of `denial` over the rows of a table, for rows that are not `visible`.

    The first whose condition holds is the reason; when none does, it is `who_may`.
    """
    found = []
    for before, test in _tests_of_row(action):
        conditions = (_condition(other, actor, table) for other in before)
        # What is not known, because the row is about nobody, does not hold either.
        fails = _condition(test, actor, table).is_not(sa.true())
        found.append((sa.and_(*conditions, fails), words(test.denial)))
    return found


def _tests_of_row(action: Action) -> Iterator[tuple[Line, Of]]:
    """Each test of the row, with what has to hold before it is the one that decides."""
    for line in RULES[action]:
        for place, test in enumerate(line):
            if isinstance(test, Of):
                yield line[:place], test


def who_may(action: Action) -> Words:
    """The sentence of a denial that says who may."""
    return Words(
        lambda translate: translate(message("Allowed: {who}.")).format(who=sentence(action, translate))
    )


def sentence(action: Action, translate: Callable[[str], str] = str) -> str:
    """Who may do it, in words: for the schema and for denials."""
    people = dict.fromkeys(line[0].words for line in RULES[action])
    conditions = dict.fromkeys(test.words for line in RULES[action] for test in line[1:])
    who = translate(message(", or ")).join(map(translate, people))
    return translate(message("; ")).join([who, *map(translate, conditions)])


def allowed(action: Action) -> str:
    """The schema's sentence, such as "Allowed: the primary contact."."""
    return f"Allowed: {sentence(action)}."
