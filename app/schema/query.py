"""The roots of the reads."""

from typing import Annotated

import strawberry
from strawberry.types import Info

from app.db import models as m
from app.db import nominations as n
from app.db import preferences as p
from app.db.outbox import Message
from app.db.site_rules import BlockedRequester, Naming, PrivilegeTemplate
from app.db.webhooks import Webhook, WebhookDelivery
from app.policy import Action, allowed
from app.query.declare import Find, OfCaller, Relation, Value, reads
from app.resolvers.preview import preview
from app.rules import BATCH_LIMIT
from app.schema import filters
from app.schema.access_check import CHECK, AccessDecision
from app.schema.catalog import PrivilegeCatalog
from app.schema.inputs import AccessCheckInput, AddUserPreviewInput
from app.schema.lists import Node
from app.schema.types import Site
from app.schema.viewer import AddUserPreview, Viewer

PUBLIC = {"viewer", "privilegeCatalog"}
"""What anonymous callers may ask."""

NODES = Find(
    {
        "site": ("Site", m.Site),
        "user": ("User", m.User),
        "membership": ("Membership", m.Membership),
        "contact": ("Contact", m.Contact),
        "access_request": ("AccessRequest", m.AccessRequest),
        "nomination": ("Nomination", n.Nomination),
        "calendar_subscription": ("CalendarSubscription", p.CalendarSubscription),
        "history_event": ("HistoryEvent", m.HistoryEvent),
        "webhook": ("Webhook", Webhook),
        "webhook_delivery": ("WebhookDelivery", WebhookDelivery),
        "blocked_requester": ("BlockedRequester", BlockedRequester),
        "privilege_template": ("PrivilegeTemplate", PrivilegeTemplate),
        "naming": ("Naming", Naming),
        "message": ("Message", Message),
    }
)


@strawberry.type(
    description="Everything that can be read. What the caller may not see does not exist for them: it is null, or is "
    "not in the list. A field that may be null and says no more about it is so only then, or where nothing was given. "
    "All but viewer and privilegeCatalog needs a token."
)
class Query:
    """Everything that can be read."""

    viewer: Viewer | None = reads(
        OfCaller(),
        "Who calls; null for anonymous callers.",
    )
    privilege_catalog: PrivilegeCatalog = reads(
        Value(lambda *_: {}), "The privileges that can be given, with labels in French and English. Public."
    )

    @reads(
        Relation(m.Site, where=filters.one_site),
        "A site, either by id or by number; null when there is none that the caller may see.",
        Action.SEE_SITE,
    )
    def site(
        self,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id.")] = None,
        number: Annotated[
            str | None, strawberry.argument(description="Its number, as people type it.")
        ] = None,
    ) -> Site | None: ...

    @reads(NODES, "Anything by its id; null when there is nothing that the caller may see.")
    def node(
        self, id: Annotated[strawberry.ID, strawberry.argument(description="Its id.")]
    ) -> Node | None: ...

    @reads(NODES, "Up to 100 things by their ids, in the same order; null for what the caller may not see.")
    def nodes(
        self, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Their ids.")]
    ) -> list[Node | None]: ...

    @reads(CHECK, "Whether a person may do something at a site, at this moment.", Action.CHECK_ACCESS)
    def access_check(self, input: AccessCheckInput) -> AccessDecision: ...

    @reads(
        CHECK,
        f"The same for up to {BATCH_LIMIT} persons, sites and applications at once, in the same order.",
        Action.CHECK_ACCESS,
    )
    def access_checks(
        self,
        inputs: Annotated[
            list[AccessCheckInput], strawberry.argument(description="What is asked, at most 100 at once.")
        ],
    ) -> list[AccessDecision]: ...

    @strawberry.field(
        description="Looks a person up before addUser; null when the caller may not add users to the site. "
        + allowed(Action.ADD_USER)
    )
    async def add_user_preview(self, info: Info, input: AddUserPreviewInput) -> AddUserPreview | None:
        """Look a person up."""
        completer = info.context.completer(info._raw_info)
        values = await preview(info.context, input)
        return await completer.complete(values) if values else None
