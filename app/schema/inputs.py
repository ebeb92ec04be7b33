"""The inputs of mutations, as plain values. A leaf: resolvers import it."""

from datetime import datetime
from typing import Any

import strawberry

from app.rules import ACCESS_YEARS, PRIVILEGES, Level
from app.schema.enums import (
    DenialReason,
    PrivilegeName,
    PurchaseAndDownloadLevel,
    Role,
    UpdateLevel,
    ViewLevel,
)

TEMPLATE = (
    "A privilege template of the site: its levels are given, but for those that privileges names as well."
)


def described(description: str, **options: Any) -> Any:
    """A field of an input."""
    return strawberry.field(description=description, **options)


def version_read() -> Any:
    """The field of an update in which the caller says on what they decided."""
    return described(
        "The version that was read; when somebody has changed it since, nothing is done and the answer has the "
        "present one. Not compared when left out.",
        default=None,
    )


@strawberry.input(
    description="Levels of account management. One that is left out stays as it is, or is NONE for a new member."
)
class AccountManagementPrivilegesInput:
    """Levels of account management."""

    manage_access: UpdateLevel | None = described(
        "Manage users and access requests. Above NONE for secondary contacts only.", default=None
    )
    contact_updates: UpdateLevel | None = described(
        "See and change contacts. Above NONE for secondary contacts only.", default=None
    )
    account_documents: ViewLevel | None = described("Documents of the account.", default=None)


@strawberry.input(
    description="Levels by application. One that is left out stays as it is, or is NONE for a new member."
)
class PrivilegesInput:
    """Levels by application."""

    purchase_and_download: PurchaseAndDownloadLevel | None = described("Purchase and download.", default=None)
    reporting: ViewLevel | None = described("Reporting.", default=None)
    entitlement_inventory: UpdateLevel | None = described(
        "Entitlements: inventory and deployments.", default=None
    )
    entitlement_allocations: UpdateLevel | None = described("Entitlement allocations.", default=None)
    account_management: AccountManagementPrivilegesInput | None = described(
        "Account management.", default=None
    )


def levels(given: PrivilegesInput | None) -> dict[str, Level]:
    """The levels that were given, by privilege name."""
    account = given.account_management if given else None
    found = {
        name: getattr(account if privilege.group else given, name, None)
        for name, privilege in PRIVILEGES.items()
    }
    return {name: level for name, level in found.items() if level is not None}


@strawberry.input(description="What the inputs of all mutations have.")
class MutationInput:
    """What all have."""

    validate_only: bool = described(
        "Only check and show: everything is checked, the answer is as if it were done, and nothing is: no change, no "
        "event, no message. Ids of new things lead nowhere.",
        default=False,
    )
    idempotency_key: str | None = described(
        "A key of the caller's own making, such as a UUID, for an act that may be sent twice: within 24 hours it is "
        "done once, and answered again with what it was about. Another act with the same key is refused. Secrets that "
        "are shown once are not shown again. Up to 100 characters.",
        default=None,
    )


@strawberry.input(description="Asks for access to a site.")
class RequestAccessInput(MutationInput):
    """Asks for access."""

    site_number: str = described(
        "The number of the site, as people type it; up to 30 characters. The answer does not tell whether it exists."
    )
    justification: str | None = described("Why access is needed; up to 2,000 characters.", default=None)
    privileges: PrivilegesInput | None = described(
        "The levels that are wished for; the approver decides.", default=None
    )


@strawberry.input(description="Takes back one's own pending request.")
class WithdrawAccessRequestInput(MutationInput):
    """Takes a request back."""

    access_request_id: strawberry.ID = described("The pending request.")


@strawberry.input(description="A request that is granted, and what the requester gets.")
class AccessRequestGrantInput:
    """A grant."""

    access_request_id: strawberry.ID = described("The pending request.")
    role: Role | None = described(
        "SECONDARY_CONTACT or USER. Required for the kind ACCESS. A member who asked for an extension or for a higher "
        "level never loses their role, and gets the role they asked for when neither role nor levels are given.",
        default=None,
    )
    privileges: PrivilegesInput | None = described(
        "The levels the new member gets; the rest is NONE. A member never loses levels, and gets those they asked for "
        "when neither role nor levels are given.",
        default=None,
    )
    template_id: strawberry.ID | None = described(TEMPLATE, default=None)
    ends_at: datetime | None = described(
        "When access ends; null for no end. When left out, there is none for a new member, the one asked for in an "
        "extension, and otherwise the one there was. A member's access never ends earlier by this.",
        default=strawberry.UNSET,
    )
    justification: str | None = described(
        "Why access is given, where the requester gave no reason or the approver has more to say; both are kept. "
        "Up to 2,000 characters.",
        default=None,
    )


@strawberry.input(description="Grants an access request.")
class GrantAccessRequestInput(AccessRequestGrantInput, MutationInput):
    """Grants a request."""


@strawberry.input(description="A request that is denied, and why.")
class AccessRequestDenialInput:
    """A denial."""

    access_request_id: strawberry.ID = described("The pending request.")
    reason: DenialReason = described("Why; the requester is told.")


@strawberry.input(description="Denies an access request.")
class DenyAccessRequestInput(AccessRequestDenialInput, MutationInput):
    """Denies a request."""


@strawberry.input(description="A person who is given access without waiting for a request.")
class PersonToAddInput:
    """A person to add."""

    ibm_id: str = described("The person's IBMid, in any case; up to 254 characters.")
    email: str = described(
        "The person's e-mail address; mostly the same as the IBMid. It has to be the one that is known of a person who "
        "is known here. Up to 254 characters."
    )
    confirmed: bool = described("That the caller has made sure this is the right person; must be true.")
    justification: str = described("Why access is given; up to 2,000 characters.")
    role: Role = described("SECONDARY_CONTACT or USER.")
    privileges: PrivilegesInput | None = described(
        "The levels the new member gets; the rest is NONE.", default=None
    )
    template_id: strawberry.ID | None = described(TEMPLATE, default=None)
    ends_at: datetime | None = described(
        f"When access ends, at most {ACCESS_YEARS} years ahead; left out or null for no end.", default=None
    )


@strawberry.input(description="Gives a person access without waiting for a request.")
class AddUserInput(PersonToAddInput, MutationInput):
    """Adds a user."""

    site_id: strawberry.ID = described("The site.")


@strawberry.input(description="Looks a person up before they are added.")
class AddUserPreviewInput:
    """Looks a person up."""

    site_id: strawberry.ID = described("The site.")
    ibm_id: str = described("The person's IBMid, in any case.")


@strawberry.input(description="Asks whether a person may do something at a site, at this moment.")
class AccessCheckInput:
    """Asks whether somebody may."""

    site_id: strawberry.ID | None = described("The site, by its id; either this or siteNumber.", default=None)
    site_number: str | None = described(
        "The site, by its number as people type it; either this or siteId.", default=None
    )
    ibm_id: str = described("The person's IBMid, in any case.")
    application: PrivilegeName = described("In which application.")
    level: str = described(
        "At which level, as the enum of the application has it, such as VIEW; a higher one includes it. Not NONE."
    )


@strawberry.input(description="A membership, and what shall change of what the member is and may use.")
class MembershipChangeInput:
    """A change of a membership."""

    membership_id: strawberry.ID = described("The membership.")
    role: Role | None = described(
        "SECONDARY_CONTACT or USER; stays as it is when left out. Making a secondary contact a user needs manage "
        "access and contact updates at NONE in the same input.",
        default=None,
    )
    privileges: PrivilegesInput | None = described("Levels to change; the rest stays as it is.", default=None)
    template_id: strawberry.ID | None = described(TEMPLATE, default=None)
    ends_at: datetime | None = described(
        f"When access ends, at most {ACCESS_YEARS} years ahead; null for no end; stays as it is when left out. An "
        "ended membership goes on when it is given a new end, or none.",
        default=strawberry.UNSET,
    )
    justification: str | None = described(
        "Why; replaces the one that is kept. Up to 2,000 characters.", default=None
    )
    expected_version: int | None = version_read()


@strawberry.input(description="Changes what a member is and may use.")
class UpdateMembershipInput(MembershipChangeInput, MutationInput):
    """Changes a membership."""


@strawberry.input(description="A membership that is taken away.")
class MembershipRemovalInput:
    """A removal."""

    membership_id: strawberry.ID = described("The membership.")
    reason: str | None = described("Why, for the history; up to 2,000 characters.", default=None)


@strawberry.input(description="Takes a member's access away.")
class RemoveMembershipInput(MembershipRemovalInput, MutationInput):
    """Removes a membership."""


@strawberry.input(description="Gives up one's own access.")
class LeaveSiteInput(MutationInput):
    """Leaves a site."""

    site_id: strawberry.ID = described("The site.")
