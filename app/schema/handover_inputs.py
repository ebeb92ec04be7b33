"""The inputs of handing over the primary contact. A leaf, like `inputs`."""

import strawberry

from app.schema.inputs import MutationInput, described


@strawberry.input(description="Asks a member to become the primary contact of their site.")
class NominatePrimaryContactInput(MutationInput):
    """Nominates."""

    site_id: strawberry.ID = described("The site.")
    membership_id: strawberry.ID = described(
        "The nominee's membership of the site, which must not have ended."
    )
    justification: str = described("Why; the nominee reads it. Up to 2,000 characters.")


@strawberry.input(description="Takes a nomination back.")
class CancelNominationInput(MutationInput):
    """Cancels a nomination."""

    nomination_id: strawberry.ID = described("The pending nomination.")


@strawberry.input(
    description="Accepts to become the primary contact, with the highest level of everything and no end. The former "
    "one becomes a secondary contact, or a user when all four seats are taken, and keeps the highest levels, but for "
    "manage access and contact updates, which are NONE until somebody sets them. The contact with the type PRIMARY is "
    "no role and stays as it is."
)
class AcceptNominationInput(MutationInput):
    """Accepts a nomination."""

    nomination_id: strawberry.ID = described("The pending nomination.")


@strawberry.input(description="Declines to become the primary contact.")
class DeclineNominationInput(MutationInput):
    """Declines a nomination."""

    nomination_id: strawberry.ID = described("The pending nomination.")
