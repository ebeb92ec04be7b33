"""The caller, as frozen values: everything the policy needs, so that it can be tested without a database."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType
from uuid import UUID

from app.rules import Language, Role, UpdateLevel


@dataclass(frozen=True, slots=True)
class Identity:
    """What the issuer says of a person."""

    issuer: str
    subject: str
    ibm_id: str
    email: str
    first_name: str | None = None
    last_name: str | None = None
    language: Language | None = None
    client: str | None = None
    ends_at: float = math.inf
    """When the token ends, in seconds since 1970."""
    names_email: bool = True
    """Whether the issuer names the e-mail address; else the IBMid stands in for it."""


@dataclass(frozen=True)
class Standing:
    """What the caller is at one site, by an active membership."""

    role: Role
    manage_access: UpdateLevel = UpdateLevel.NONE
    contact_updates: UpdateLevel = UpdateLevel.NONE


STANDINGS = (
    Standing(Role.PRIMARY_CONTACT, UpdateLevel.UPDATE, UpdateLevel.UPDATE),
    *(
        Standing(Role.SECONDARY_CONTACT, access, contacts)
        for access, contacts in product(UpdateLevel, repeat=2)
    ),
    Standing(Role.USER),
)
"""Everything that somebody can be at a site; the database lets nothing else be (see the checks of `membership`)."""


@dataclass(frozen=True)
class Actor:
    """Who calls. Anonymous callers are actors without a user; operators act by command line."""

    user_id: UUID | None = None
    name: str = "anonymous"
    client: str | None = None
    language: Language = Language.EN
    standings: Mapping[UUID, Standing] = field(default_factory=lambda: MappingProxyType({}))

    def sites_where(self, holds: Callable[[Standing], bool]) -> list[UUID]:
        """The sites at which the caller's standing passes a test."""
        return [site_id for site_id, standing in self.standings.items() if holds(standing)]


ANONYMOUS = Actor()
