"""May this person do this at this site, now: for the applications whose levels are kept here."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
import strawberry

from app.db.models import Membership, Site, User
from app.errors import Code, bad_input
from app.language import words
from app.policy import Action, allowed
from app.query.declare import Chosen, Column, Lookup, asked, reads
from app.rules import CATALOG, PRIVILEGES, Privilege
from app.schema import filters
from app.schema.enums import Code as UserErrorCode
from app.texts import is_readable, typed_ibm_id

Input = Mapping[str, Any]
_BY_NAME = {privilege.name: privilege for privilege in CATALOG}
[_HELD_BY_ALL] = [privilege for privilege in CATALOG if not privilege.editable]


def _site_id(item: Input) -> Any:
    if (item.get("siteId") is None) == (item.get("siteNumber") is None):
        raise bad_input("Give either siteId or siteNumber.")
    return item.get("siteId") and filters.key_of(item["siteId"], "site")


def _site_number(item: Input) -> str | None:
    return item.get("siteNumber") and filters.searched_number(item["siteNumber"])


def _ibm_id(item: Input) -> str | None:
    """The IBMid; nothing where it could be nobody's."""
    ibm_id: str = item["ibmId"]
    return typed_ibm_id(ibm_id) if is_readable(ibm_id) else None


def _level(item: Input) -> str:
    """The level that is asked for, which has to be one of the application."""
    privilege: Privilege = _BY_NAME[item["application"].value]
    names = [level.name for level in privilege.levels if level.name != "NONE"]
    if item["level"] not in names:
        raise bad_input(f"The levels of {item['application'].name} to ask for are: {', '.join(names)}.")
    return str(item["level"])


_user_id = (
    sa.select(User.id)
    .where(sa.func.lower(User.ibm_id) == sa.func.lower(asked("ibm_id", sa.Text)))
    .scalar_subquery()
)
_site_id_of_number = sa.select(Site.id).where(Site.number == asked("site_number", sa.Text)).scalar_subquery()
HELD = sa.orm.aliased(
    Membership,
    sa.select(Membership)
    .where(
        Membership.site_id == sa.func.coalesce(asked("site_id", sa.Uuid), _site_id_of_number),
        Membership.user_id == _user_id,
    )
    # The one row is found by its key before anybody asks whether it may be seen, however many the caller sees.
    .limit(1)
    .lateral("held"),
)
"""The membership that is asked about."""


def _by_application(value_of: Any, otherwise: Any) -> Any:
    """An expression over the level held of the application that is asked for, if its level can be set."""
    application = asked("application", sa.Text)
    cases = ((application == name, value_of(filters.held(name, HELD))) for name in PRIVILEGES)
    return sa.case(*cases, else_=otherwise)


_LEVEL = _by_application(lambda held: sa.cast(held, sa.Text), _HELD_BY_ALL.highest.name)
_IS_ENOUGH = _by_application(lambda held: held >= sa.cast(asked("level", sa.Text), held.type), sa.true())
_FAULTS = (
    (HELD.id.is_(None), Code.NO_ACCESS),
    (sa.not_(HELD.active), Code.ACCESS_ENDED),
    (sa.not_(_IS_ENOUGH), Code.LEVEL_TOO_LOW),
)


def _used(caller: Any) -> tuple[sa.ColumnElement[bool], Any]:
    """Asking about oneself is a use of what one may; asking about others, to decide about them, is none."""
    return sa.and_(HELD.user_id == caller.user_id, HELD.active, _IS_ENOUGH), asked("application", sa.Text)


CHECK = Lookup(
    Membership,
    HELD,
    Action.CHECK_ACCESS,
    {
        "site_id": (sa.Uuid, _site_id),
        "site_number": (sa.Text, _site_number),
        "ibm_id": (sa.Text, _ibm_id),
        "application": (sa.Text, lambda item: item["application"].value),
        "level": (sa.Text, _level),
    },
    _used,
)


def _denied(value: Any, otherwise: Any = None) -> Chosen:
    """What is answered where access is denied, made of the code of the reason; or else otherwise."""
    return Chosen(lambda *_: [(fault, value(code)) for fault, code in _FAULTS], otherwise)


@strawberry.type(
    description="Whether a person may do what was asked, at this moment. Whoever may not ask about the person is "
    "answered NO_ACCESS, just as for a person or a site that is not known. " + allowed(Action.CHECK_ACCESS)
)
class AccessDecision:
    """Whether a person may."""

    allowed: bool = reads(_denied(lambda _: False, True), "Whether they may.")
    code: UserErrorCode | None = reads(
        _denied(lambda code: code),
        "Why not, for programs: NO_ACCESS, ACCESS_ENDED or LEVEL_TOO_LOW; null when they may.",
    )
    reason: str | None = reads(
        _denied(lambda code: words(code.value)),
        "Why not, for people, in the language of the caller; null when they may.",
    )
    held_level: str | None = reads(
        Column(sa.case((sa.and_(HELD.id.is_not(None), HELD.active), _LEVEL))),
        "The level that the person holds of the application; null where they have no access.",
    )
    membership_id: strawberry.ID | None = reads(
        Column(HELD.id, "membership", needs=Action.SEE_MEMBERSHIP),
        "The membership that says so; null where there is none that the caller may see.",
    )
