"""The inputs of mutations on contacts. A leaf, like `inputs`."""

import strawberry

from app.schema.enums import ContactType
from app.schema.inputs import MutationInput, described, version_read


@strawberry.input(
    description="What is known of a contact. Every field is checked after the rules of the country; all faults come "
    "back at once."
)
class ContactFieldsInput:
    """The form of a contact."""

    first_name: str = described("First name; up to 100 characters.")
    last_name: str = described("Last name; up to 100 characters.")
    phone: str = described(
        "Telephone number, as dialled in the country or with + in front; kept in the form +33…. Up to "
        "100 characters."
    )
    email: str = described(
        "E-mail address; up to 254 characters. Independent of the addresses for eNotifications."
    )
    address: str = described("Street and number; up to 200 characters.")
    city: str = described("City; up to 100 characters.")
    state_or_province: str | None = described(
        "State or province, by name or code; required exactly where addresses of the country need one. Up to 100 "
        "characters.",
        default=None,
    )
    postal_code: str | None = described(
        "Postal code; required exactly where addresses of the country need one. Up to 100 characters.",
        default=None,
    )
    country: str = described("Country, two letters after ISO 3166-1, such as FR.")
    types: list[ContactType] = described("What the person is contact for; at least one, each once.")


@strawberry.input(description="Writes a new contact.")
class CreateContactInput(ContactFieldsInput, MutationInput):
    """Creates a contact."""

    site_id: strawberry.ID = described("The site.")


@strawberry.input(description="A contact as it shall be.")
class ContactInput(ContactFieldsInput):
    """A contact in a form."""

    contact_id: strawberry.ID = described("The contact.")
    expected_version: int | None = version_read()


@strawberry.input(description="Saves one contact as it shall be.")
class UpdateContactInput(ContactInput, MutationInput):
    """Updates a contact."""


@strawberry.input(
    description="The contacts of a site as they shall be; those that are not named stay as they are."
)
class UpdateContactsInput(MutationInput):
    """Updates contacts."""

    site_id: strawberry.ID = described("The site.")
    contacts: list[ContactInput] = described("Up to 100 contacts of the site, each once.")


@strawberry.input(description="Deletes a contact.")
class DeleteContactInput(MutationInput):
    """Deletes a contact."""

    contact_id: strawberry.ID = described("The contact; not the one with the type PRIMARY.")
