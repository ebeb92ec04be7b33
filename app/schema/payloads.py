"""What mutations answer: the changed objects, their parents where counts move, and the errors."""

from typing import Any

import strawberry

from app.db import models as m
from app.db import site_rules as r
from app.db import webhooks as w
from app.policy import Action
from app.query.declare import Relation, Value, reads
from app.query.ids import write_id
from app.rules import BATCH_LIMIT
from app.schema.contacts import Contact
from app.schema.enums import Code
from app.schema.history import HistoryEvent
from app.schema.namings import Naming
from app.schema.privilege_templates import PrivilegeTemplate
from app.schema.types import AccessRequest, Membership, Site
from app.schema.users import User
from app.schema.webhooks import Webhook


def _given(name: str, description: str) -> Any:
    return reads(Value(lambda row, *_: row[name]), description)


def deleted(kind: str, description: str) -> Any:
    """The id that something had, which the resolver gives as `removed`."""

    def write(row: dict[str, Any], *_: Any) -> str | None:
        return write_id(kind, row["removed"]) if row.get("removed") else None

    return reads(Value(write), description)


def one(model: Any, local: str, description: str) -> Any:
    """A row by its key, which the resolver gives as `local`."""
    return reads(Relation(model, on="id", local=local), description)


@strawberry.interface(
    description="Why a mutation, or an item of a bulk, was refused. When there is one, nothing was changed by it."
)
class UserError:
    """A refusal."""

    code: Code = _given("code", "For programs.")
    message: str = _given("message", "For people, in their language.")
    path: list[str] = _given(
        "path", 'Where in the input, such as ["contacts", "0", "postalCode"]; empty for the input as a whole.'
    )


@strawberry.type(description="A value of the input is wrong, or is not yours to give.")
class InputError(UserError):
    """A wrong value."""


@strawberry.type(description="The thing does not exist for the caller, or they may not do this with it.")
class AccessError(UserError):
    """Not found, or forbidden."""


@strawberry.type(description="What is asked for does not go together with what is there.")
class ConflictError(UserError):
    """A conflict with what is there."""


@strawberry.type(description="A limit of the domain is reached.")
class LimitReachedError(UserError):
    """A limit is reached."""

    limit: int = _given("limit", "How many there may be.")
    current: int = _given("current", "How many there are.")


@strawberry.type(
    description="The request was decided before, be it by somebody else who was faster or by the caller."
)
class AlreadyDecidedError(UserError):
    """Somebody else was faster."""

    access_request: AccessRequest | None = one(
        m.AccessRequest, "access_request_id", "The request, with the decision that won."
    )


@strawberry.type(
    description="What was to be changed is not as the caller read it. It is given as it is now; the fields for other "
    "kinds of things are null."
)
class StaleVersionError(UserError):
    """Changed by somebody else."""

    current_version: int = _given("current_version", "The version it has now.")
    membership: Membership | None = one(m.Membership, "membership_id", "The membership as it is now.")
    contact: Contact | None = one(m.Contact, "contact_id", "The contact as it is now.")
    webhook: Webhook | None = one(w.Webhook, "webhook_id", "The webhook as it is now.")
    site: Site | None = one(m.Site, "site_id", "The site with its rules as they are now.")
    privilege_template: PrivilegeTemplate | None = one(
        r.PrivilegeTemplate, "privilege_template_id", "The template as it is now."
    )
    user: User | None = one(m.User, "user_id", "The caller, with their eNotifications as they are now.")


ERROR_TYPES = (
    InputError,
    AccessError,
    ConflictError,
    LimitReachedError,
    AlreadyDecidedError,
    StaleVersionError,
)
_TYPE_OF: dict[Code, type] = {
    Code.NOT_FOUND: AccessError,
    Code.FORBIDDEN: AccessError,
    Code.ALREADY_DECIDED: AlreadyDecidedError,
    Code.STALE_VERSION: StaleVersionError,
    Code.SECONDARY_CONTACT_LIMIT: LimitReachedError,
    Code.CALENDAR_SUBSCRIPTION_LIMIT: LimitReachedError,
    Code.WEBHOOK_LIMIT: LimitReachedError,
    Code.TEMPLATE_LIMIT: LimitReachedError,
    **dict.fromkeys(
        (
            Code.ALREADY_MEMBER,
            Code.PENDING_REQUEST_EXISTS,
            Code.REQUEST_CLOSED,
            Code.MEMBERSHIP_ENDED,
            Code.END_NOT_LATER,
            Code.NOT_HIGHER,
            Code.ALREADY_PRIMARY_CONTACT,
            Code.NOMINATION_PENDING,
            Code.NOMINATION_CLOSED,
            Code.EMAIL_MISMATCH,
            Code.CONFLICT,
            Code.IDEMPOTENCY_KEY_REUSED,
            Code.WEBHOOK_INACTIVE,
            Code.NO_SECOND_PERSON,
            Code.NAMING_PENDING,
            Code.NAMING_CLOSED,
            Code.PROPOSER_NOT_ALLOWED,
            Code.ALREADY_BLOCKED,
            Code.TEMPLATE_NAME_TAKEN,
        ),
        ConflictError,
    ),
}


def error_type(code: Code) -> str:
    """The name of the type in which a code is reported."""
    return _TYPE_OF.get(code, InputError).__name__


def written(most: int | None = None) -> Any:
    """The events that a mutation wrote; `most` is how many there can be, where they are more than a few."""
    return reads(
        Relation(m.HistoryEvent, on="id", local="event_ids", needs=Action.SEE_WRITTEN, most=most),
        "What it wrote into the history, or with validateOnly would write, each event with the fields that it changes; "
        "only what the caller may see of it. Empty when it was refused, or when nothing changes.",
        Action.SEE_WRITTEN,
    )


@strawberry.type(description="What all payloads have.")
class Payload:
    """What all payloads have."""

    events: list[HistoryEvent] = written()
    errors: list[UserError] = _given(
        "errors",
        "Why it was refused, when all else is null or empty but for what a bulk tells of its items; empty when it was "
        "done.",
    )


ACCESS_REQUEST = "The request as it is now."
MEMBERSHIP = "The membership as it is now."
SITE = "The site as it is now; null when the caller does not belong to it."


def waiting() -> Any:
    """The naming of a secondary contact, where it waits instead of being done."""
    return one(
        r.Naming,
        "pending_naming_id",
        "The naming of a secondary contact, where the rules of the site let it wait for a second person; then nothing "
        "has taken effect yet.",
    )


@strawberry.type(description="Answer of requestAccess.")
class RequestAccessPayload(Payload):
    """A new request."""

    access_request: AccessRequest | None = one(m.AccessRequest, "access_request_id", ACCESS_REQUEST)


@strawberry.type(description="Answer of withdrawAccessRequest.")
class WithdrawAccessRequestPayload(Payload):
    """A withdrawn request."""

    access_request: AccessRequest | None = one(m.AccessRequest, "access_request_id", ACCESS_REQUEST)


@strawberry.type(description="Answer of grantAccessRequest.")
class GrantAccessRequestPayload(Payload):
    """A granted request."""

    access_request: AccessRequest | None = one(m.AccessRequest, "access_request_id", ACCESS_REQUEST)
    membership: Membership | None = one(
        m.Membership, "membership_id", "The membership that was made or raised; null while the naming waits."
    )
    pending_naming: Naming | None = waiting()
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of denyAccessRequest.")
class DenyAccessRequestPayload(Payload):
    """A denied request."""

    access_request: AccessRequest | None = one(m.AccessRequest, "access_request_id", ACCESS_REQUEST)
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of addUser.")
class AddUserPayload(Payload):
    """An added user."""

    membership: Membership | None = one(
        m.Membership, "membership_id", "The new membership; null while the naming waits."
    )
    pending_naming: Naming | None = waiting()
    access_request: AccessRequest | None = one(
        m.AccessRequest,
        "access_request_id",
        "The person's pending request, which was granted by this; null when there was none.",
    )
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of updateMembership.")
class UpdateMembershipPayload(Payload):
    """A changed membership."""

    membership: Membership | None = one(m.Membership, "membership_id", MEMBERSHIP)
    pending_naming: Naming | None = waiting()
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of removeMembership.")
class RemoveMembershipPayload(Payload):
    """A removed membership."""

    removed_membership_id: strawberry.ID | None = deleted("membership", "The id the membership had.")
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of leaveSite.")
class LeaveSitePayload(Payload):
    """A site left."""

    removed_membership_id: strawberry.ID | None = deleted("membership", "The id the membership had.")


@strawberry.type(description="Answer of createContact.")
class CreateContactPayload(Payload):
    """A new contact."""

    contact: Contact | None = one(m.Contact, "contact_id", "The new contact.")
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of updateContact.")
class UpdateContactPayload(Payload):
    """A changed contact."""

    contact: Contact | None = one(m.Contact, "contact_id", "The contact as it is now.")
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of updateContacts.")
class UpdateContactsPayload(Payload):
    """A saved form."""

    events: list[HistoryEvent] = written(most=BATCH_LIMIT)
    site: Site | None = one(m.Site, "site_id", "The site with its contacts as they are now.")


@strawberry.type(description="Answer of deleteContact.")
class DeleteContactPayload(Payload):
    """A deleted contact."""

    deleted_contact_id: strawberry.ID | None = deleted("contact", "The id the contact had.")
    site: Site | None = one(m.Site, "site_id", SITE)
