"""The inputs of what members ask for themselves. A leaf, like `inputs`."""

from datetime import datetime

import strawberry

from app.rules import ACCESS_YEARS
from app.schema.enums import Role
from app.schema.inputs import MutationInput, PrivilegesInput, described


@strawberry.input(description="Asks for a later end of one's own access.")
class RequestExtensionInput(MutationInput):
    """Asks for a later end."""

    site_id: strawberry.ID = described("The site; also when access has ended.")
    ends_at: datetime = described(
        f"Until when access is needed: later than its present end, at most {ACCESS_YEARS} years ahead."
    )
    justification: str = described("Why; up to 2,000 characters.")


@strawberry.input(description="Asks for more than one holds.")
class RequestHigherLevelInput(MutationInput):
    """Asks for more."""

    site_id: strawberry.ID = described("The site.")
    privileges: PrivilegesInput | None = described(
        "The levels that are wished for, each higher than the one held; may be left out when a role is given.",
        default=None,
    )
    role: Role | None = described(
        "SECONDARY_CONTACT, for a user who wishes to become one; the levels of secondary contacts need it.",
        default=None,
    )
    justification: str = described("Why; up to 2,000 characters.")
