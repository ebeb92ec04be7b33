"""Nominations, as the primary contact, the nominee and those who see the users of the site see them."""

from datetime import datetime
from typing import Any

import strawberry

from app.db import models as m
from app.db import nominations as n
from app.policy import Action, allowed
from app.query.declare import Column, Group, Relation, reads
from app.rules import NOMINATION_DAYS
from app.schema.enums import NominationState
from app.schema.lists import Node, opaque_id
from app.schema.permissions import NominationPermissions
from app.schema.types import Membership, Site
from app.schema.users import User

SEE = Action.SEE_NOMINATION


def _person(local: str, description: str) -> Any:
    return reads(Relation(m.User, on="id", local=local, follows=SEE), description)


@strawberry.type(
    description="The primary contact asks a member to take over. At most one at a time is pending at a site. "
    + allowed(SEE)
)
class Nomination(Node):
    """A nomination."""

    id: strawberry.ID = opaque_id("nomination", n.Nomination.id)
    state: NominationState = reads(Column(n.Nomination.current_state), "Where the nomination stands.")
    justification: str = reads(Column(n.Nomination.justification), "The primary contact's reason.")
    nominee: User | None = _person("user_id", "Who shall become the primary contact.")
    membership: Membership | None = reads(
        Relation(m.Membership, on="id", local="membership_id"),
        "The nominee's membership while the nomination is pending; null afterwards.",
    )
    nominated_by: User | None = _person("nominated_by_id", "The primary contact who nominated.")
    created_at: datetime = reads(Column(n.Nomination.created_at), "When it was made.")
    expires_at: datetime = reads(
        Column(n.Nomination.expires_at),
        f"Until when it can be answered: {NOMINATION_DAYS} days, or until the nominee's access ends.",
    )
    closed_at: datetime | None = reads(
        Column(n.Nomination.closed_at),
        "When it was answered or cancelled, or had expired; null while it is pending, and until it was noticed that it "
        "has expired.",
    )
    site: Site | None = reads(
        Relation(m.Site, on="id", local="site_id"), "The site; null once the caller does not belong to it."
    )
    viewer_can: NominationPermissions = reads(Group(), "What the caller may do with it, and if not, why.")
