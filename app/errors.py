"""Everything that can be refused: codes, their sentences, and the exceptions that carry them.

A `Fault` is one thing wrong with an input, at one path. `UserError` carries all faults of a mutation into
its payload's `errors`; `RequestError` is for programmers and for the door, and ends up in the response's
top-level `errors`. Sentences are English message ids, translated when they are shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


def message(text: str) -> str:
    """Mark a sentence for translation; the catalogue test collects every call."""
    return text


class Code(Enum):
    """Stable code of a refusal; the value is its sentence, with the fault's parameters in braces."""

    NOT_FOUND = message("Nothing you may see has this id.")
    WRONG_ID_KIND = message("This is not the id of a {expected}.")
    FORBIDDEN = message("{reason}")
    REQUIRED = message("This must be given.")
    TOO_LONG = message("At most {limit} characters fit here.")
    TOO_MANY = message("At most {limit} at once.")
    FORBIDDEN_CHARACTERS = message("Control characters and unpaired surrogates cannot be kept here.")
    INVALID_IBM_ID = message("An IBMid has no spaces in it.")
    INVALID_EMAIL = message("This is not an e-mail address that mail can reach.")
    INVALID_PHONE = message(
        "This is not a telephone number in {country}; outside it, begin with + and the code."
    )
    INVALID_COUNTRY = message("This is not a country code of two letters (ISO 3166-1).")
    INVALID_STATE_OR_PROVINCE = message("{country} has no state or province of this name.")
    INVALID_POSTAL_CODE = message("This is not a postal code of {country}; one looks like {example}.")
    NOT_PART_OF_ADDRESS = message("Addresses in {country} do not have this; leave it out.")
    ROLE_NOT_ASSIGNABLE = message(
        "The primary contact is named by hand-over only, never by assigning the role."
    )
    LEVEL_NOT_FOR_ROLE = message("Only secondary contacts may hold this; set it to NONE for a user.")
    CONFIRMATION_REQUIRED = message("Confirm that this is the right person.")
    EMAIL_MISMATCH = message(
        "This IBMid is known with another e-mail address. Ask the person for the right one."
    )
    SECONDARY_CONTACT_LIMIT = message(
        "The site has its {limit} secondary contacts. Remove or demote one first."
    )
    ALREADY_MEMBER = message("Access to this site has been given already.")
    PENDING_REQUEST_EXISTS = message("There is a pending request of yours for this site.")
    ALREADY_DECIDED = message("This request has been decided already.")
    END_IN_PAST = message("The end must lie in the future.")
    END_TOO_FAR = message("The end lies at most {limit} years ahead; without an end, access lasts.")
    END_NOT_LATER = message("Access lasts at least until then already.")
    MEMBERSHIP_ENDED = message("This access has ended; it needs a new end first.")
    NOT_HIGHER = message("This is no more than what you hold already.")
    ALREADY_PRIMARY_CONTACT = message("This is the primary contact already.")
    NOMINATION_PENDING = message("Somebody is nominated already. Cancel that nomination first.")
    NOMINATION_CLOSED = message("This nomination was answered or cancelled, or has expired.")
    REQUEST_CLOSED = message("This request was withdrawn or has expired; it can be asked for again.")
    CONTACT_TYPE_REQUIRED = message(
        "{name} would be left without a type. Give them another one in the same form."
    )
    PRIMARY_CONTACT_TYPE_REQUIRED = message(
        "The site needs its primary contact. Give PRIMARY to another contact instead of dropping it."
    )
    SEVERAL_PRIMARY_CONTACTS = message("Only one contact of a site can have PRIMARY.")
    DUPLICATE = message("This appears more than once.")
    NUMBER_TAKEN = message("A site with this number exists.")
    CALENDAR_SUBSCRIPTION_LIMIT = message(
        "You have your {limit} calendar subscriptions. Revoke one of them first."
    )
    IDEMPOTENCY_KEY_REUSED = message(
        "This key was used with another mutation or input. Use a new key for every new act."
    )
    STALE_VERSION = message("Somebody changed this since you read it. Look at it again and repeat.")
    INVALID_URL = message("This is not a web address that something can be sent to.")
    HTTPS_REQUIRED = message("Webhooks are sent over HTTPS only.")
    CREDENTIALS_IN_URL = message("Leave user name and password out of the address.")
    ADDRESS_NOT_PUBLIC = message("This address is not on the public internet.")
    PORT_NOT_ALLOWED = message("Use port 443, or one from 1024 on.")
    WEBHOOK_LIMIT = message("The site has its {limit} webhooks. Delete one first.")
    WEBHOOK_INACTIVE = message("This webhook is not active. Make it active first.")
    OUT_OF_RANGE = message("Give a number from {minimum} to {maximum}.")
    LEVEL_ABOVE_YOURS = message("The rules of this site let nobody give a level above their own.")
    NO_SECOND_PERSON = message(
        "A second person has to confirm this, and nobody else at the site may. Give somebody else manage access first."
    )
    NAMING_PENDING = message("Naming this person already waits for a second person.")
    NAMING_CLOSED = message("This was confirmed, rejected or cancelled before.")
    PROPOSER_NOT_ALLOWED = message("Whoever proposed this may no longer do it. Reject it instead.")
    ALREADY_BLOCKED = message("This person is blocked.")
    TEMPLATE_NAME_TAKEN = message("The site has a template of this name.")
    TEMPLATE_LIMIT = message("The site has its {limit} templates. Delete one first.")
    NO_ACCESS = message("This person has no access to this site, as far as you may know.")
    ACCESS_ENDED = message("This person's access to the site has ended.")
    LEVEL_TOO_LOW = message("This person holds a lower level of this application.")
    CONFLICT = message("Somebody changed this at the same moment. Look at it again and repeat.")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One refusal: its code, where in the input it arose, and what its sentence needs.

    `path` starts below `input` with the schema's names, such as ``("contacts", 0, "postalCode")``.
    """

    code: Code
    path: tuple[str | int, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)

    def under(self, *prefix: str | int) -> "Fault":
        """The same fault, seen from an input that contains this one."""
        return Fault(code=self.code, path=(*prefix, *self.path), parameters=self.parameters)


class UserError(Exception):
    """A mutation is refused: nothing is written, the faults go into the payload, and `values` beside them."""

    def __init__(self, *faults: Fault, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(", ".join(fault.code.name for fault in faults))
        self.faults = faults
        self.values = values or {}


def refuse(code: Code, *path: str | int, **parameters: Any) -> UserError:
    """The error of a single fault, ready to be raised."""
    return UserError(Fault(code=code, path=path, parameters=parameters))


class RequestError(Exception):
    """The request itself is at fault: shown as a top-level error with `code`, never masked."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def bad_input(text: str) -> RequestError:
    """The caller's program asked for something impossible, such as two directions of a page at once."""
    return RequestError("BAD_USER_INPUT", text)


def unauthenticated(text: str) -> RequestError:
    """The caller has to sign in first, or again."""
    return RequestError("UNAUTHENTICATED", text)
