"""The inputs of mutations and the filters and orders of lists, as plain values. A leaf: resolvers import it."""

from typing import Annotated, Any

import strawberry

from app.rules import (
    PRIVILEGES,
    ContactType,
    DenialReason,
    AccessRequestState,
    Level,
    PurchaseAndDownloadLevel,
    Role,
    UpdateLevel,
    ViewLevel,
)
from app.schema.enums import AccessRequestOrderField, MembershipOrderField, OrderDirection


def _field(description: str, **options: Any) -> Any:
    return strawberry.field(description=description, **options)


@strawberry.input(
    description="Levels of account management. One that is left out stays as it is, or is NONE for a new member."
)
class AccountManagementPrivilegesInput:
    """Levels of account management."""

    manage_access: UpdateLevel | None = _field(
        "Manage users and access requests. Above NONE for secondary contacts only.", default=None
    )
    contact_updates: UpdateLevel | None = _field(
        "See and change contacts. Above NONE for secondary contacts only.", default=None
    )
    account_documents: ViewLevel | None = _field("Documents of the account.", default=None)


@strawberry.input(
    description="Levels by application. One that is left out stays as it is, or is NONE for a new member."
)
class PrivilegesInput:
    """Levels by application."""

    purchase_and_download: PurchaseAndDownloadLevel | None = _field("Purchase and download.", default=None)
    reporting: ViewLevel | None = _field("Reporting.", default=None)
    entitlement_inventory: UpdateLevel | None = _field(
        "Entitlements: inventory and deployments.", default=None
    )
    entitlement_allocations: UpdateLevel | None = _field("Entitlement allocations.", default=None)
    account_management: AccountManagementPrivilegesInput | None = _field("Account management.", default=None)


def levels(given: PrivilegesInput | None) -> dict[str, Level]:
    """The levels that were given, by privilege name."""
    account = given.account_management if given else None
    found = {
        name: getattr(account if privilege.group else given, name, None)
        for name, privilege in PRIVILEGES.items()
    }
    return {name: level for name, level in found.items() if level is not None}


@strawberry.input(description="Asks for access to a site.")
class RequestAccessInput:
    """Asks for access."""

    site_number: str = _field(
        "The number of the site, as people type it. The answer does not tell whether it exists."
    )
    justification: str | None = _field("Why access is needed; up to 2,000 characters.", default=None)
    privileges: PrivilegesInput | None = _field(
        "The levels that are wished for; the approver decides.", default=None
    )


@strawberry.input(description="Takes back one's own pending request.")
class WithdrawAccessRequestInput:
    """Takes a request back."""

    access_request_id: strawberry.ID = _field("The pending request.")


@strawberry.input(description="Grants an access request.")
class GrantAccessRequestInput:
    """Grants a request."""

    access_request_id: strawberry.ID = _field("The pending request.")
    role: Role = _field("SECONDARY_CONTACT or USER.")
    privileges: PrivilegesInput | None = _field(
        "The levels the new member gets; the rest is NONE.", default=None
    )
    justification: str | None = _field(
        "Why access is given, where the requester gave no reason or the approver has more to say; both are kept. "
        "Up to 2,000 characters.",
        default=None,
    )


@strawberry.input(description="Denies an access request.")
class DenyAccessRequestInput:
    """Denies a request."""

    access_request_id: strawberry.ID = _field("The pending request.")
    reason: DenialReason = _field("Why; the requester is told.")


@strawberry.input(description="Gives a person access without waiting for a request.")
class AddUserInput:
    """Adds a user."""

    site_id: strawberry.ID = _field("The site.")
    ibm_id: str = _field("The person's IBMid, in any case.")
    email: str = _field("The person's e-mail address; mostly the same as the IBMid.")
    confirmed: bool = _field("That the caller has made sure this is the right person; must be true.")
    justification: str = _field("Why access is given; up to 2,000 characters.")
    role: Role = _field("SECONDARY_CONTACT or USER.")
    privileges: PrivilegesInput | None = _field(
        "The levels the new member gets; the rest is NONE.", default=None
    )


@strawberry.input(description="Looks a person up before they are added.")
class AddUserPreviewInput:
    """Looks a person up."""

    site_id: strawberry.ID = _field("The site.")
    ibm_id: str = _field("The person's IBMid, in any case.")


@strawberry.input(description="Changes what a member is and may use.")
class UpdateMembershipInput:
    """Changes a membership."""

    membership_id: strawberry.ID = _field("The membership.")
    role: Role | None = _field(
        "SECONDARY_CONTACT or USER; stays as it is when left out. Making a secondary contact a user needs manage "
        "access and contact updates at NONE in the same input.",
        default=None,
    )
    privileges: PrivilegesInput | None = _field(
        "The levels to change; the rest stays as it is.", default=None
    )
    justification: str | None = _field(
        "Why; replaces the one that is kept. Up to 2,000 characters.", default=None
    )


@strawberry.input(description="Takes a member's access away.")
class RemoveMembershipInput:
    """Removes a membership."""

    membership_id: strawberry.ID = _field("The membership.")
    reason: str | None = _field("Why, for the history; up to 2,000 characters.", default=None)


@strawberry.input(description="Gives up one's own access.")
class LeaveSiteInput:
    """Leaves a site."""

    site_id: strawberry.ID = _field("The site.")


@strawberry.input(
    description="What is known of a contact. Every field is checked after the rules of the country; all faults come back at once."
)
class ContactFieldsInput:
    """The form of a contact."""

    first_name: str = _field("First name; up to 100 characters.")
    last_name: str = _field("Last name; up to 100 characters.")
    phone: str = _field(
        "Telephone number, as dialled in the country or with + in front; kept in the form +33…."
    )
    email: str = _field("E-mail address. Independent of the addresses for eNotifications.")
    address: str = _field("Street and number; up to 200 characters.")
    city: str = _field("City; up to 100 characters.")
    state_or_province: str | None = _field(
        "State or province, by name or code; required exactly where addresses of the country need one.",
        default=None,
    )
    postal_code: str | None = _field(
        "Postal code; required exactly where addresses of the country need one.", default=None
    )
    country: str = _field("Country, two letters after ISO 3166-1, such as FR.")
    types: list[ContactType] = _field("What the person is contact for; at least one.")


@strawberry.input(description="Writes a new contact.")
class CreateContactInput(ContactFieldsInput):
    """Creates a contact."""

    site_id: strawberry.ID = _field("The site.")


@strawberry.input(description="A contact as it shall be.")
class UpdateContactInput(ContactFieldsInput):
    """Updates a contact."""

    contact_id: strawberry.ID = _field("The contact.")


@strawberry.input(
    description="The contacts of a site as they shall be; those that are not named stay as they are."
)
class UpdateContactsInput:
    """Updates contacts."""

    site_id: strawberry.ID = _field("The site.")
    contacts: list[UpdateContactInput] = _field("Up to 100 contacts of the site, each once.")


@strawberry.input(description="Deletes a contact.")
class DeleteContactInput:
    """Deletes a contact."""

    contact_id: strawberry.ID = _field("The contact; not the one with the type PRIMARY.")


@strawberry.input(description="Which memberships to list; all given conditions hold.")
class MembershipFilter:
    """Which memberships."""

    roles: list[Role] | None = _field("Has one of these roles.", default=None)
    text: str | None = _field(
        "Name, e-mail address or IBMid contains this, without regard to case and accents.", default=None
    )
    privileges_at_least: PrivilegesInput | None = _field("Holds at least these levels.", default=None)


@strawberry.input(description="How memberships are sorted.")
class MembershipOrder:
    """How memberships are sorted."""

    field: MembershipOrderField = _field("By what.")
    direction: OrderDirection = _field("Which way.", default=OrderDirection.ASC)


@strawberry.input(description="Which access requests to list; all given conditions hold.")
class AccessRequestFilter:
    """Which requests."""

    states: list[AccessRequestState] | None = _field("Is in one of these states.", default=None)


@strawberry.input(description="How access requests are sorted.")
class AccessRequestOrder:
    """How requests are sorted."""

    field: AccessRequestOrderField = _field("By what.")
    direction: OrderDirection = _field("Which way.", default=OrderDirection.ASC)


First = Annotated[
    int | None, strawberry.argument(description="How many from the beginning: 20 by default, at most 100.")
]
After = Annotated[str | None, strawberry.argument(description="Only what comes after this cursor.")]
Last = Annotated[
    int | None, strawberry.argument(description="How many from the end; not together with first.")
]
Before = Annotated[str | None, strawberry.argument(description="Only what comes before this cursor.")]
