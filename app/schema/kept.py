"""The values that the history keeps, as people see them: where they stand in a snapshot, and what changed.

Only what stands here is shown. Seats, sort keys, identities, keys of other rows, and whether the site that somebody
asked for exists are kept as well, and are nobody's to read.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from app.db.models import AccessRequest, Contact, HistoryEvent, Membership, Site, User
from app.db.nominations import Nomination
from app.db.preferences import ENotificationPreference
from app.db.site_rules import BlockedRequester, Naming, PrivilegeTemplate
from app.policy import Action
from app.query.declare import Kept
from app.rules import PRIVILEGES, Role
from app.subjects import SubjectType

MODELS: Mapping[SubjectType, Any] = {
    SubjectType.MEMBERSHIP: Membership,
    SubjectType.CONTACT: Contact,
    SubjectType.ACCESS_REQUEST: AccessRequest,
    SubjectType.NOMINATION: Nomination,
    SubjectType.SITE: Site,
    SubjectType.USER: User,
    SubjectType.E_NOTIFICATION_PREFERENCE: ENotificationPreference,
    SubjectType.NAMING: Naming,
    SubjectType.PRIVILEGE_TEMPLATE: PrivilegeTemplate,
    SubjectType.BLOCKED_REQUESTER: BlockedRequester,
}
_LEVELS = {name: ".".join(privilege.path) for name, privilege in PRIVILEGES.items()}
DETAILS = ("phone", "address", "city", "state_or_province", "postal_code", "country")
"""What of a contact is shown to those who may see its details."""
PATHS: Mapping[SubjectType, Mapping[str, str]] = {
    SubjectType.MEMBERSHIP: {
        "role": "role",
        **{name: f"privileges.{path}" for name, path in _LEVELS.items()},
        "justification": "justification",
        "ends_at": "endsAt",
    },
    SubjectType.CONTACT: {
        "first_name": "firstName",
        "last_name": "lastName",
        "email": "email",
        "types": "types",
        "phone": "details.phone",
        "address": "details.address",
        "city": "details.city",
        "state_or_province": "details.stateOrProvince",
        "postal_code": "details.postalCode",
        "country": "details.country",
    },
    SubjectType.ACCESS_REQUEST: {
        "site_number": "siteNumber",
        "state": "state",
        "justification": "justification",
        **{name: f"requestedPrivileges.{path}" for name, path in _LEVELS.items()},
        "kind": "kind",
        "requested_role": "requestedRole",
        "requested_ends_at": "requestedEndsAt",
        "approver_justification": "approverJustification",
        "granted_role": "grantedRole",
        "denial_reason": "denialReason",
        "closed_at": "closedAt",
    },
    SubjectType.NOMINATION: {
        "state": "state",
        "justification": "justification",
        "closed_at": "closedAt",
    },
    SubjectType.SITE: {
        "number": "number",
        "name": "name",
        "pending_request_days": "pendingRequestDays",
        "grant_at_most_held": "grantAtMostWhatYouHold",
        "second_person_confirms": "secondPersonConfirms",
        "contacts_reviewed_at": "contactsReviewedAt",
    },
    SubjectType.USER: {
        "ibm_id": "ibmId",
        "email": "email",
        "first_name": "firstName",
        "last_name": "lastName",
        "language": "language",
    },
    SubjectType.E_NOTIFICATION_PREFERENCE: {"email": "email", "topics": "topics"},
    SubjectType.NAMING: {
        "kind": "kind",
        "state": "state",
        **{name: f"privileges.{path}" for name, path in _LEVELS.items()},
        "justification": "justification",
        "ends_at": "endsAt",
        "closed_at": "closedAt",
    },
    SubjectType.PRIVILEGE_TEMPLATE: {
        "name": "name",
        **{name: f"privileges.{path}" for name, path in _LEVELS.items()},
    },
    SubjectType.BLOCKED_REQUESTER: {"ibm_id": "ibmId", "reason": "reason"},
}
"""For every kind of subject: the columns that are shown, each with its path in the snapshot."""

_FIELDS = {
    kind.name.lower(): [
        {"name": name, "path": path, "guarded": kind is SubjectType.CONTACT and name in DETAILS}
        for name, path in paths.items()
    ]
    for kind, paths in PATHS.items()
}
_HIGHEST = {name: privilege.highest.name for name, privilege in PRIVILEGES.items()}
_RECORD = (sa.column("name", sa.Text), sa.column("path", sa.Text), sa.column("guarded", sa.Boolean))


def _constant(value: Any) -> Any:
    return sa.cast(sa.literal(json.dumps(value, ensure_ascii=False), sa.Text), JSONB)


def _whole(values: Any) -> Any:
    """The values with the levels of a primary contact, which are the highest and are not stored."""
    is_primary = values["role"].astext == Role.PRIMARY_CONTACT.name
    return sa.case((is_primary, values.op("||", return_type=JSONB())(_constant(_HIGHEST))), else_=values)


def _text(values: Any, name: Any) -> Any:
    """A kept value as a text; several are told one after the other."""
    text = _whole(values)[name].astext
    is_list = sa.func.jsonb_typeof(values[name]) == "array"
    return sa.case((is_list, sa.func.translate(text, '[]"', "")), else_=text)


def changes(may: Callable[[Action], sa.ColumnElement[bool]]) -> sa.Select[Any]:
    """What an event changed, field by field in the order of the snapshot."""
    of_kind = _constant(_FIELDS)[HistoryEvent.subject_type]
    told = (
        sa.func.jsonb_to_recordset(of_kind)
        .table_valued(*_RECORD, name="told")
        .render_derived(with_types=True)
    )
    before, after = _text(HistoryEvent.before, told.c.name), _text(HistoryEvent.after, told.c.name)
    return (
        sa.select(told.c.path.label("field"), before.label("before"), after.label("after"))
        .where(
            before.is_distinct_from(after),
            sa.or_(sa.not_(told.c.guarded), may(Action.SEE_CONTACT_DETAILS)),
        )
        .correlate(HistoryEvent)
    )


def kept(model: Any, name: str) -> Kept:
    """A value of a column of a table, of the type that it has there."""
    kind = getattr(model, name).type
    if isinstance(kind, sa.ARRAY):
        # The names of enums need no escaping in either notation of a list.
        return Kept(lambda values: sa.cast(sa.func.translate(values[name].astext, '[]"', "{}"), kind))
    return Kept(lambda values: sa.cast(values[name].astext, kind))


def level(name: str) -> Kept:
    """The level of a privilege that a member held, or that a requester wished for."""
    kind = getattr(Membership, name).type
    return Kept(lambda values: sa.cast(_whole(values)[name].astext, kind))
