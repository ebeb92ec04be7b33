"""The rules of a site, and who is blocked from asking it for access."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app.db import models as m
from app.db import site_rules as r
from app.policy import Action, allowed
from app.query.declare import Column, Paged, Relation, reads
from app.schema.lists import VERSION, Node

if TYPE_CHECKING:
    from app.schema.users import User

ID = "Opaque id, unique among all things of the service."
BLOCKED = Paged(
    r.BlockedRequester,
    on="site_id",
    local="id",
    orders={"CREATED_AT": r.BlockedRequester.created_at},
)
"""The blocked requesters of a site, oldest first."""


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
    + allowed(Action.SEE_USERS)
)
class BlockedRequester(Node):
    """A blocked requester."""

    id: strawberry.ID = reads(Column(r.BlockedRequester.id, "blocked_requester"), ID)
    ibm_id: str = reads(Column(r.BlockedRequester.ibm_id), "The person's IBMid, as it was typed.")
    reason: str | None = reads(Column(r.BlockedRequester.reason), "Why, for the deciders only.")
    created_at: datetime = reads(Column(r.BlockedRequester.created_at), "Since when.")
    blocked_by: Annotated["User", strawberry.lazy("app.schema.users")] | None = reads(
        Relation(m.User, on="id", local="blocked_by_id", follows=Action.SEE_USERS),
        "Who blocked them.",
    )
