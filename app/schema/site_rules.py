"""The types of a site's stricter rules, of blocked requesters, privilege templates, and namings that wait."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
import strawberry

from app.db import models as m
from app.db import site_rules as r
from app.policy import Action, allowed
from app.query.declare import Column, Group, Paged, Relation, reads
from app.schema.enums import NamingKind, NamingState
from app.schema.lists import VERSION, Node
from app.schema.some_levels import NamingPrivileges, TemplatePrivileges

if TYPE_CHECKING:
    from app.schema.types import AccessRequest, Site, User

ID = "Opaque id, unique among all things of the service."
BLOCKED = Paged(
    r.BlockedRequester,
    on="site_id",
    local="id",
    orders={"CREATED_AT": r.BlockedRequester.created_at},
)
"""The blocked requesters of a site, oldest first."""


def _waiting(*_: Any) -> list[Any]:
    return [r.Naming.state == NamingState.PENDING]


WAITING = Paged(
    r.Naming, on="site_id", local="id", where=_waiting, orders={"CREATED_AT": r.Naming.created_at}
)
"""The namings of a site that wait, oldest first."""
TEMPLATES = Relation(
    r.PrivilegeTemplate,
    on="site_id",
    local="id",
    order=lambda _: [sa.func.lower(r.PrivilegeTemplate.name), r.PrivilegeTemplate.id],
)
"""The privilege templates of a site by name."""


@strawberry.type(description="What a site asks of its deciders beyond what is asked of all.")
class SiteRules:
    """The rules of a site."""

    grant_at_most_what_you_hold: bool = reads(
        Column(m.Site.grant_at_most_held),
        "Whether nobody may give a level above their own. It is about levels, not roles; the primary contact holds "
        "the highest of everything.",
    )
    second_person_confirms: bool = reads(
        Column(m.Site.second_person_confirms),
        "Whether the naming of a secondary contact waits for a second person, who confirms it by confirmNaming.",
    )
    pending_request_days: int | None = reads(
        Column(m.Site.pending_request_days),
        "Days after which a new access request that nobody has decided expires; null when it does not.",
    )
    version: int = reads(Column(m.Site.version), VERSION)


@strawberry.type(
    description="A person whose requests do not reach the site. They are answered as if they did. "
    + allowed(Action.MANAGE_BLOCKED_REQUESTERS)
)
class BlockedRequester(Node):
    """A blocked requester."""

    id: strawberry.ID = reads(Column(r.BlockedRequester.id, "blocked_requester"), ID)
    ibm_id: str = reads(Column(r.BlockedRequester.ibm_id), "The person's IBMid, as it was typed.")
    reason: str | None = reads(Column(r.BlockedRequester.reason), "Why, for the deciders only.")
    created_at: datetime = reads(Column(r.BlockedRequester.created_at), "Since when.")
    blocked_by: Annotated["User", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.User, on="id", local="blocked_by_id", follows=Action.MANAGE_BLOCKED_REQUESTERS),
        "Who blocked them.",
    )


@strawberry.type(description="Levels that a site gives together, under a name. " + allowed(Action.SEE_USERS))
class PrivilegeTemplate(Node):
    """A privilege template."""

    id: strawberry.ID = reads(Column(r.PrivilegeTemplate.id, "privilege_template"), ID)
    name: str = reads(
        Column(r.PrivilegeTemplate.name), "Its name, unique at the site without regard to case."
    )
    privileges: TemplatePrivileges = reads(Group(), "The levels it gives.")
    created_at: datetime = reads(Column(r.PrivilegeTemplate.created_at), "When it was created.")
    version: int = reads(Column(r.PrivilegeTemplate.version), VERSION)


@strawberry.type(
    description="Somebody is to become a secondary contact, which waits for a second person where the rules of the "
    "site ask for one. " + allowed(Action.SEE_USERS)
)
class Naming(Node):
    """A naming."""

    id: strawberry.ID = reads(Column(r.Naming.id, "naming"), ID)
    kind: NamingKind = reads(Column(r.Naming.kind), "By which act.")
    state: NamingState = reads(Column(r.Naming.state), "Where it stands.")
    privileges: NamingPrivileges = reads(Group(), "The levels it will give, or has given.")
    justification: str | None = reads(Column(r.Naming.justification), "The proposer's reason.")
    created_at: datetime = reads(Column(r.Naming.created_at), "When it was proposed.")
    closed_at: datetime | None = reads(
        Column(r.Naming.closed_at), "When it was confirmed, rejected or cancelled."
    )
    user: Annotated["User", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.User, on="id", local="user_id", follows=Action.SEE_USERS), "Who is to be named."
    )
    access_request: Annotated["AccessRequest", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.AccessRequest, on="id", local="access_request_id"),
        "The request that it grants; null for the other kinds.",
    )
    proposed_by: Annotated["User", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.User, on="id", local="proposed_by_id", follows=Action.SEE_USERS), "Who proposed it."
    )
    decided_by: Annotated["User", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.User, on="id", local="decided_by_id", follows=Action.SEE_USERS),
        "The second person, who confirmed or rejected it.",
    )
    site: Annotated["Site", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.Site, on="id", local="site_id"), "The site."
    )
