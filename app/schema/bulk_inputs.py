"""The inputs of mutations that do one thing to many, each like the single one. A leaf, like `inputs`."""

import strawberry

from app.schema.enums import ErrorPolicy
from app.schema.inputs import (
    AccessRequestDenialInput,
    AccessRequestGrantInput,
    MembershipChangeInput,
    MembershipRemovalInput,
    MutationInput,
    PersonToAddInput,
    described,
)


@strawberry.input(description="What the inputs of all bulks have.")
class BulkInput(MutationInput):
    """What all have."""

    site_id: strawberry.ID = described("The site; things of other sites are not found.")
    error_policy: ErrorPolicy = described(
        "What becomes of the others when an item cannot be done.", default=ErrorPolicy.ALL_OR_NOTHING
    )


@strawberry.input(description="Gives several people access to a site.")
class AddUsersInput(BulkInput):
    """Adds users."""

    items: list[PersonToAddInput] = described("1 to 100 people, each once.")


@strawberry.input(description="Changes several memberships of a site.")
class UpdateMembershipsInput(BulkInput):
    """Updates memberships."""

    items: list[MembershipChangeInput] = described("1 to 100 memberships, each once.")


@strawberry.input(description="Takes the access of several members of a site away.")
class RemoveMembershipsInput(BulkInput):
    """Removes memberships."""

    items: list[MembershipRemovalInput] = described("1 to 100 memberships, each once.")


@strawberry.input(description="Grants several access requests of a site.")
class GrantAccessRequestsInput(BulkInput):
    """Grants requests."""

    items: list[AccessRequestGrantInput] = described("1 to 100 pending requests, each once.")


@strawberry.input(description="Denies several access requests of a site.")
class DenyAccessRequestsInput(BulkInput):
    """Denies requests."""

    items: list[AccessRequestDenialInput] = described("1 to 100 pending requests, each once.")
