"""The object types of the schema. Each says what it reads; nothing here runs a query."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from app.db import deciders as d
from app.db import models as m
from app.db import nominations as n
from app.db.webhooks import Webhook as WebhookRow
from app.policy import Action, allowed
from app.query.declare import Column, Group, Paged, Relation, reads
from app.rules import SECONDARY_CONTACT_SEATS
from app.schema import filters
from app.schema.arguments import (
    About,
    AccessRequestsBy,
    After,
    Before,
    EventsBy,
    First,
    Last,
    Matter,
    MembershipsBy,
    MessagesBy,
    WhichAccessRequests,
    WhichEvents,
    WhichMemberships,
    WhichMessages,
    WithType,
)
from app.schema.assignable import (
    AssignableLevels,
    assignable_levels,
    assignable_roles,
    member_can_be_named,
    newcomer_can_be_named,
)
from app.schema.contacts import Contact, ContactReview
from app.schema.enums import AccessRequestKind, AccessRequestState, DenialReason, PrivilegeName, Role
from app.schema.history import ANYWHERE, IN_A_SITE, HistoryEvent, history_of
from app.schema.lists import VERSION, Connection, Node, opaque_id
from app.schema.messages import MESSAGES, Message
from app.schema.namings import WAITING, Naming
from app.schema.permissions import (
    AccessRequestPermissions,
    MembershipPermissions,
    SitePermissions,
)
from app.schema.privilege_templates import TEMPLATES, PrivilegeTemplate
from app.schema.privileges import EffectivePrivilegeSet, PrivilegeSet, RequestedPrivileges
from app.schema.recommendations import RECOMMENDATIONS, Recommendation
from app.schema.site_rules import BLOCKED, BlockedRequester, SiteRules
from app.schema.unused import UNUSED, UNUSED_PRIVILEGES
from app.schema.users import User
from app.site_rules import TEMPLATE_SLOTS
from app.webhook_rules import WEBHOOK_SLOTS

if TYPE_CHECKING:
    from app.schema.nominations import Nomination
    from app.schema.webhooks import Webhook


MEMBERSHIP_ORDERS = {
    "NAME": m.User.sort_name,
    "ROLE": m.Membership.role,
    "CREATED_AT": m.Membership.created_at,
}
ACCESS_REQUEST_ORDERS = {"CREATED_AT": m.AccessRequest.created_at, "REQUESTER_NAME": m.User.sort_name}


def memberships_of(local: str, on: str) -> Paged:
    """The memberships whose `on` is the parent's `local`."""
    return Paged(
        m.Membership,
        on=on,
        local=local,
        where=filters.memberships,
        orders=MEMBERSHIP_ORDERS,
        joins=((m.User, m.User.id == m.Membership.user_id),),
    )


def access_requests_of(local: str, on: str) -> Paged:
    """The access requests whose `on` is the parent's `local`."""
    return Paged(
        m.AccessRequest,
        on=on,
        local=local,
        where=filters.access_requests,
        orders=ACCESS_REQUEST_ORDERS,
        joins=((m.User, m.User.id == m.AccessRequest.requester_id),),
    )


@strawberry.type(description="One user's access to one site. " + allowed(Action.SEE_MEMBERSHIP))
class Membership(Node):
    """Access to a site."""

    id: strawberry.ID = opaque_id("membership", m.Membership.id)
    role: Role = reads(Column(m.Membership.role), "What the member is at the site.")
    privileges: PrivilegeSet = reads(
        Group(), "What the member was given; it stays when access ends, and holds again when it goes on."
    )
    effective_privileges: EffectivePrivilegeSet = reads(
        Group(), "What the member may use at this moment: NONE of everything once access has ended."
    )
    unused_privileges: list[PrivilegeName] = reads(Column(UNUSED_PRIVILEGES), UNUSED)
    justification: str | None = reads(Column(m.Membership.justification), "Why access was given.")
    ends_at: datetime | None = reads(Column(m.Membership.ends_at), "When access ends; null when it does not.")
    active: bool = reads(
        Column(m.Membership.active),
        "Whether access has not ended. An ended membership keeps its seat until it is removed.",
    )
    created_at: datetime = reads(Column(m.Membership.created_at), "When access was given.")
    version: int = reads(Column(m.Membership.version), VERSION)
    user: User | None = reads(
        Relation(m.User, on="id", local="user_id", follows=Action.SEE_MEMBERSHIP), "Who has access."
    )
    site: Annotated["Site", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.Site, on="id", local="site_id"), "To which site."
    )
    viewer_can: MembershipPermissions = reads(Group(), "What the caller may do with it, and if not, why.")
    assignable_roles: list[Role] = assignable_roles(
        Action.UPDATE_MEMBERSHIP,
        member_can_be_named,
        "The roles that the caller may give this member now: SECONDARY_CONTACT only while there is a seat for them "
        "and, where a second person has to confirm it, somebody else who can, and no naming that waits. Empty "
        "for others.",
    )

    @reads(
        history_of("subject_id", IN_A_SITE),
        "What was changed of this membership.",
        Action.SEE_HISTORY,
    )
    def history(
        self,
        filter: WhichEvents = None,
        order_by: EventsBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[HistoryEvent]: ...


@strawberry.type(
    description="A user asks for access to a site, or a member for a later end or a higher level. "
    + allowed(Action.SEE_ACCESS_REQUEST)
)
class AccessRequest(Node):
    """A request."""

    id: strawberry.ID = opaque_id("access_request", m.AccessRequest.id)
    kind: AccessRequestKind = reads(Column(m.AccessRequest.kind), "What is asked for.")
    site_number: str = reads(
        Column(m.AccessRequest.site_number), "The number of the site that was asked for."
    )
    state: AccessRequestState = reads(Column(m.AccessRequest.current_state), "Where the request stands.")
    justification: str | None = reads(Column(m.AccessRequest.justification), "The requester's reason.")
    requested_privileges: RequestedPrivileges = reads(Group(), "The levels the requester wishes for.")
    requested_role: Role | None = reads(
        Column(m.AccessRequest.requested_role), "The role a member wishes for; null when they named none."
    )
    requested_ends_at: datetime | None = reads(
        Column(m.AccessRequest.requested_ends_at),
        "Until when an extension is wished for; null for other kinds.",
    )
    approver_justification: str | None = reads(
        Column(m.AccessRequest.approver_justification), "The approver's reason; null when they gave none."
    )
    granted_role: Role | None = reads(
        Column(m.AccessRequest.granted_role),
        "The role that was given, or that a member kept; null unless it was granted.",
    )
    denial_reason: DenialReason | None = reads(
        Column(m.AccessRequest.denial_reason), "Why it was denied; null unless it was."
    )
    created_at: datetime = reads(Column(m.AccessRequest.created_at), "When access was asked for.")
    closed_at: datetime | None = reads(
        Column(m.AccessRequest.closed_at),
        "When the request was decided or withdrawn, or had expired; null while it is pending, and until it was noticed "
        "that it has expired.",
    )
    expires_at: datetime | None = reads(
        Column(m.AccessRequest.expires_at, needs=Action.SEE_USERS),
        "Until when it can be decided; null when there is no end.",
        Action.SEE_USERS,
    )
    requester: User | None = reads(
        Relation(m.User, on="id", local="requester_id", follows=Action.SEE_ACCESS_REQUEST), "Who asks."
    )
    decided_by: User | None = reads(
        Relation(m.User, on="id", local="decided_by_id", follows=Action.SEE_USERS),
        "Who decided; null when nobody has.",
        Action.SEE_USERS,
    )
    site: Annotated["Site", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.Site, on="id", local="site_id"),
        "The site; null for those who do not belong to it, whether it exists or not.",
    )
    viewer_can: AccessRequestPermissions = reads(Group(), "What the caller may do with it, and if not, why.")

    @reads(
        history_of("subject_id", ANYWHERE),
        "What became of the request, oldest first.",
        Action.SEE_HISTORY,
    )
    def history(
        self,
        filter: WhichEvents = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[HistoryEvent]: ...


@strawberry.type(
    description="A member who decides about access: the primary contact, or a secondary contact with manage access "
    "UPDATE. Every member is told their names, to know whom to ask. " + allowed(Action.SEE_DECIDERS)
)
class Decider:
    """Who decides."""

    name: str = reads(Column(d.Decider.name), "First and last name.")
    role: Role = reads(Column(d.Decider.role), "What they are at the site.")
    membership: Membership | None = reads(
        Relation(m.Membership, on="id", local="id"),
        "Their membership; null for those who see their name only.",
        Action.SEE_MEMBERSHIP,
    )


@strawberry.type(description="A customer's contract site. " + allowed(Action.SEE_SITE))
class Site(Node):
    """A site."""

    id: strawberry.ID = opaque_id("site", m.Site.id)
    number: str = reads(Column(m.Site.number), "The number people type.")
    name: str = reads(Column(m.Site.name), "The customer's name for it.")
    created_at: datetime = reads(Column(m.Site.created_at), "When the site was created.")
    remaining_secondary_contact_seats: int = reads(
        Column(filters.remaining_seats),
        f"How many more secondary contacts fit; a site has at most {SECONDARY_CONTACT_SEATS}.",
    )
    contact_review: ContactReview = reads(
        Group(),
        "The monthly review of the contacts: when it was done, and whether it is overdue.",
        Action.SEE_SITE,
    )
    last_event_id: strawberry.ID | None = reads(
        Column(filters.last_event_id),
        "Id of the newest event of the site, as `after` for subscriptions: what happened since this was read is told.",
    )
    viewer_membership: Membership | None = reads(
        Relation(m.Membership, on="site_id", local="id", where=filters.own_membership),
        "The caller's own membership of the site.",
    )
    nomination: Annotated["Nomination", strawberry.lazy("app.schema.nominations")] | None = reads(
        Relation(n.Nomination, on="site_id", local="id", where=filters.pending_nominations),
        "The pending nomination of a new primary contact; null when there is none.",
        Action.SEE_NOMINATION,
    )
    viewer_can: SitePermissions = reads(Group(), "What the caller may do at the site, and if not, why.")
    assignable_roles: list[Role] = assignable_roles(
        Action.ADD_USER,
        newcomer_can_be_named,
        "The roles that the caller may give a new member now: SECONDARY_CONTACT only while there is a free seat and, "
        "where a second person has to confirm it, somebody else who can. Empty for others.",
    )
    assignable_levels: list[AssignableLevels] = assignable_levels(
        "The levels that the caller may give now, with each of these roles, to somebody who holds nothing yet: where "
        "the rules of the site let nobody give a level above their own, none above the caller's. A member may keep "
        "what they hold already, or be set to less of it, also where that is not listed. Empty for others."
    )
    deciders: list[Decider] = reads(
        Relation(
            d.Decider,
            on="site_id",
            local="id",
            order=lambda _: [d.Decider.role, d.Decider.sort_name, d.Decider.id],
        ),
        "Who decides about access at this site, the primary contact first: whom to ask.",
        Action.SEE_DECIDERS,
    )
    recommendations: list[Recommendation] = reads(
        RECOMMENDATIONS,
        "What the site could do better; each one is shown to those who can do something about it, as its type says.",
        Action.SEE_SITE,
    )

    @reads(
        memberships_of("id", "site_id"),
        "The memberships of the site; a user sees only their own.",
        Action.SEE_MEMBERSHIP,
    )
    def memberships(
        self,
        filter: WhichMemberships = None,
        order_by: MembershipsBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Membership]: ...

    @reads(
        access_requests_of("id", "site_id"),
        "The requests for access to the site; a user sees only their own.",
        Action.SEE_ACCESS_REQUEST,
    )
    def access_requests(
        self,
        filter: WhichAccessRequests = None,
        order_by: AccessRequestsBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[AccessRequest]: ...

    @reads(MESSAGES, "The messages to people about the site.", Action.SEE_MESSAGES)
    def messages(
        self,
        filter: WhichMessages = None,
        order_by: MessagesBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Message]: ...

    @reads(
        Relation(m.Contact, on="site_id", local="id", where=filters.contacts, order=filters.primary_first),
        "The contacts of the site: the primary contact record, then the others by name.",
        Action.SEE_CONTACTS,
    )
    def contacts(self, type: WithType = None) -> list[Contact]: ...

    @reads(
        Relation(m.Contact, on="site_id", local="id", where=filters.contact_for, order=filters.holder_first),
        "Whom to address for a type: of its holders the one written first, or else the primary contact record.",
        Action.SEE_CONTACTS,
    )
    def contact_for(self, type: Matter) -> Contact | None: ...

    @reads(
        Relation(m.Contact, on="site_id", local="id", where=filters.recipients, order=filters.primary_first),
        "The contacts to whom a communication about a topic goes: all for TOOL_CHANGES, those with the type "
        "SUBSCRIPTION_AND_SUPPORT_RENEWAL for RENEWAL_QUOTES, those with SITE_TECHNICAL for NEW_VERSIONS; where nobody "
        "has the type, the primary contact record. Contacts only: what users have set for their own eNotifications "
        "has no part in it.",
        Action.SEE_CONTACTS,
    )
    def recipients(self, topic: About) -> list[Contact]: ...

    @reads(
        history_of("stream", IN_A_SITE),
        "Every change at the site; a user sees only what is about their own membership and requests.",
        Action.SEE_HISTORY,
    )
    def history(
        self,
        filter: WhichEvents = None,
        order_by: EventsBy = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[HistoryEvent]: ...

    rules: SiteRules = reads(
        Group(), "What the site asks of its deciders beyond what is asked of all.", Action.SEE_SITE
    )
    privilege_templates: list[PrivilegeTemplate] = reads(
        TEMPLATES, f"The privilege templates of the site by name; at most {TEMPLATE_SLOTS}.", Action.SEE_USERS
    )

    @reads(WAITING, "The namings of secondary contacts that wait for a second person.", Action.SEE_USERS)
    def pending_namings(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Naming]: ...

    @reads(BLOCKED, "The people whose requests do not reach the site.", Action.SEE_USERS)
    def blocked_requesters(
        self, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[BlockedRequester]: ...

    webhooks: list[Annotated["Webhook", strawberry.lazy("app.schema.webhooks")]] = reads(
        Relation(
            WebhookRow, on="site_id", local="id", order=lambda _: [WebhookRow.created_at, WebhookRow.id]
        ),
        f"Where partner tools are told of what happens at the site, oldest first; at most {WEBHOOK_SLOTS}.",
        Action.MANAGE_WEBHOOKS,
    )
