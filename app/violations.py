"""What the database refuses, as people are told it."""

from typing import Any

import asyncpg

from app import rules
from app.errors import Code, Fault, UserError, refuse
from app.policy import NOT_OWN, NOT_PRIMARY, NOT_PROPOSED
from app.site_rules import TEMPLATE_SLOTS
from app.webhook_rules import WEBHOOK_SLOTS

BUSY = {"55P03", "40P01", "40001"}
"""PostgreSQL's codes for: lock not available, deadlock, serialization failure."""


def _fault(code: Code, *path: str | int, **parameters: Any) -> Fault:
    return Fault(code=code, path=path, parameters=parameters)


BY_CONSTRAINT = {
    "uq_membership_site_id_seat": _fault(
        Code.SECONDARY_CONTACT_LIMIT,
        "role",
        limit=rules.SECONDARY_CONTACT_SEATS,
        current=rules.SECONDARY_CONTACT_SEATS,
    ),
    "uq_membership_site_id_user_id": _fault(Code.ALREADY_MEMBER),
    "uq_membership_primary_contact": _fault(Code.ROLE_NOT_ASSIGNABLE, "role"),
    "ck_membership_levels_fit_the_role": _fault(Code.LEVEL_NOT_FOR_ROLE, "privileges"),
    "fk_site_primary_membership": _fault(Code.FORBIDDEN, reason=NOT_PRIMARY.denial),
    "uq_access_request_pending": _fault(Code.PENDING_REQUEST_EXISTS, "siteNumber"),
    "access_request_is_closed": _fault(Code.REQUEST_CLOSED, "accessRequestId"),
    "ck_access_request_never_decided_by_the_requester": _fault(Code.FORBIDDEN, reason=NOT_OWN.denial),
    "uq_nomination_pending": _fault(Code.NOMINATION_PENDING, "membershipId"),
    "nomination_is_closed": _fault(Code.NOMINATION_CLOSED, "nominationId"),
    "ck_nomination_nominee_is_somebody_else": _fault(Code.ALREADY_PRIMARY_CONTACT, "membershipId"),
    "uq_contact_primary": _fault(Code.SEVERAL_PRIMARY_CONTACTS, "types"),
    "site_has_primary_contact_record": _fault(Code.PRIMARY_CONTACT_TYPE_REQUIRED, "types"),
    "uq_webhook_site_id_slot": _fault(Code.WEBHOOK_LIMIT, limit=WEBHOOK_SLOTS, current=WEBHOOK_SLOTS),
    "uq_blocked_requester_ibm_id": _fault(Code.ALREADY_BLOCKED, "ibmId"),
    "uq_privilege_template_name": _fault(Code.TEMPLATE_NAME_TAKEN, "name"),
    "uq_privilege_template_site_id_slot": _fault(
        Code.TEMPLATE_LIMIT, limit=TEMPLATE_SLOTS, current=TEMPLATE_SLOTS
    ),
    "uq_naming_pending": _fault(Code.NAMING_PENDING, "role"),
    "naming_is_closed": _fault(Code.NAMING_CLOSED, "namingId"),
    "ck_naming_never_decided_by_the_proposer": _fault(Code.FORBIDDEN, reason=NOT_PROPOSED.denial),
    "ck_naming_never_decided_by_the_named": _fault(Code.FORBIDDEN, reason=NOT_OWN.denial),
    "ck_naming_never_proposed_by_the_named": _fault(Code.FORBIDDEN, reason=NOT_OWN.denial),
    "uq_site_number": _fault(Code.NUMBER_TAKEN, "number"),
    "uq_calendar_subscription_user_id_slot": _fault(
        Code.CALENDAR_SUBSCRIPTION_LIMIT,
        limit=rules.CALENDAR_SUBSCRIPTIONS,
        current=rules.CALENDAR_SUBSCRIPTIONS,
    ),
}
"""What the violation of a constraint means to people, should a race or a bug get past the checks."""


def meaning(error: asyncpg.PostgresError) -> Exception:
    """The user error that a refusal of the database stands for, or the error itself when it stands for none."""
    if (
        isinstance(error, asyncpg.IntegrityConstraintViolationError)
        and error.constraint_name in BY_CONSTRAINT
    ):
        return UserError(BY_CONSTRAINT[error.constraint_name])
    return refuse(Code.CONFLICT) if error.sqlstate in BUSY else error
