"""The inputs of mutations on a site's rules, blocked requesters, templates and namings. A leaf: resolvers import it."""

import strawberry

from app.schema.inputs import MutationInput, PrivilegesInput, described, version_read


@strawberry.input(description="Changes the rules of a site; what is left out stays as it is.")
class UpdateSiteRulesInput(MutationInput):
    """Updates the rules."""

    site_id: strawberry.ID = described("The site.")
    grant_at_most_what_you_hold: bool | None = described(
        "Whether nobody may give a level above their own.", default=None
    )
    second_person_confirms: bool | None = described(
        "Whether the naming of a secondary contact waits for a second person. Namings that wait already stay so.",
        default=None,
    )
    pending_request_days: int | None = described(
        "Days after which new access requests expire, from 1 to 365; an explicit null stands for never.",
        default=strawberry.UNSET,
    )
    expected_version: int | None = version_read()


@strawberry.input(description="Keeps a person's requests from reaching a site.")
class BlockRequesterInput(MutationInput):
    """Blocks a requester."""

    site_id: strawberry.ID = described("The site.")
    ibm_id: str = described(
        "The person's IBMid, in any case; the person need not be known here. Up to 254 characters."
    )
    reason: str | None = described("Why, for the deciders only; up to 2,000 characters.", default=None)


@strawberry.input(description="Lets a person's requests reach the site again.")
class UnblockRequesterInput(MutationInput):
    """Unblocks a requester."""

    blocked_requester_id: strawberry.ID = described("The blocked requester.")


@strawberry.input(description="Creates a privilege template.")
class CreatePrivilegeTemplateInput(MutationInput):
    """Creates a template."""

    site_id: strawberry.ID = described("The site.")
    name: str = described("Its name, unique at the site without regard to case; up to 100 characters.")
    privileges: PrivilegesInput = described("The levels it gives; it says nothing of one that is left out.")


@strawberry.input(description="Changes a privilege template; what is left out stays as it is.")
class UpdatePrivilegeTemplateInput(MutationInput):
    """Updates a template."""

    privilege_template_id: strawberry.ID = described("The template.")
    name: str | None = described(
        "Its name, unique at the site without regard to case; up to 100 characters.", default=None
    )
    privileges: PrivilegesInput | None = described(
        "The levels it gives, in place of all it gave: it says nothing of one that is left out in here.",
        default=None,
    )
    expected_version: int | None = version_read()


@strawberry.input(description="Deletes a privilege template.")
class DeletePrivilegeTemplateInput(MutationInput):
    """Deletes a template."""

    privilege_template_id: strawberry.ID = described("The template.")


@strawberry.input(description="Confirms the naming of a secondary contact.")
class ConfirmNamingInput(MutationInput):
    """Confirms a naming."""

    naming_id: strawberry.ID = described("The naming.")


@strawberry.input(description="Rejects the naming of a secondary contact, or takes one's own back.")
class RejectNamingInput(MutationInput):
    """Rejects a naming."""

    naming_id: strawberry.ID = described("The naming.")
