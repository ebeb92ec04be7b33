"""The caller, as frozen values: everything the policy needs, so that it can be tested without a database."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from uuid import UUID

from app.rules import Language, Role, UpdateLevel


@dataclass(frozen=True)
class Standing:
    """What the caller is at one site, by an active membership."""

    role: Role
    manage_access: UpdateLevel = UpdateLevel.NONE
    contact_updates: UpdateLevel = UpdateLevel.NONE


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
