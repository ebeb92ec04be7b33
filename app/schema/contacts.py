"""Contacts, as the schema shows them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import sqlalchemy as sa
import strawberry

from app.db import models as m
from app.policy import Action, allowed
from app.query.declare import Column, Group, Relation, reads
from app.schema.arguments import After, Before, EventsBy, First, Last, WhichEvents
from app.schema.enums import ContactType
from app.schema.history import IN_A_SITE, HistoryEvent, history_of
from app.schema.lists import VERSION, Connection, Node, opaque_id
from app.schema.permissions import ContactPermissions
from app.schema.users import User

if TYPE_CHECKING:
    from app.schema.types import Site


@strawberry.type(description="Everything about a contact beyond the overview.")
class ContactDetails:
    """The details of a contact."""

    phone: str = reads(Column(m.Contact.phone), "Telephone number in the form +33….")
    address: str = reads(Column(m.Contact.address), "Street and number.")
    city: str = reads(Column(m.Contact.city), "City.")
    state_or_province: str | None = reads(
        Column(m.Contact.state_or_province), "State or province, by its code where there is one."
    )
    postal_code: str | None = reads(Column(m.Contact.postal_code), "Postal code.")
    country: str = reads(Column(m.Contact.country), "Country, two letters after ISO 3166-1.")


@strawberry.type(
    description="A person the vendor writes to about the site; not a login and not a role. "
    + allowed(Action.SEE_CONTACTS)
)
class Contact(Node):
    """A contact."""

    id: strawberry.ID = opaque_id("contact", m.Contact.id)
    first_name: str = reads(Column(m.Contact.first_name), "First name.")
    last_name: str = reads(Column(m.Contact.last_name), "Last name.")
    email: str = reads(Column(m.Contact.email), "E-mail address; independent of eNotifications.")
    types: list[ContactType] = reads(Column(m.Contact.types), "What the person is contact for.")
    version: int = reads(Column(m.Contact.version), VERSION)
    details: ContactDetails | None = reads(
        Group(needs=Action.SEE_CONTACT_DETAILS),
        "Telephone and postal address; null for who may see the overview only.",
        Action.SEE_CONTACT_DETAILS,
    )
    site: Annotated["Site", strawberry.lazy("app.schema.types")] | None = reads(
        Relation(m.Site, on="id", local="site_id"), "The site."
    )
    viewer_can: ContactPermissions = reads(Group(), "What the caller may do with it, and if not, why.")

    @reads(
        history_of("subject_id", IN_A_SITE),
        "What was changed of this contact.",
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
    description="The monthly review of a site's contacts. It is due one month after the last one, or after the site "
    "was created."
)
class ContactReview:
    """The monthly review."""

    last_done_at: datetime | None = reads(
        Column(m.Site.contacts_reviewed_at), "When it was last confirmed; null when it never was."
    )
    last_done_by: User | None = reads(
        Relation(m.User, on="id", local="contacts_reviewed_by_id"),
        "Who confirmed it; null when nobody did, or when the caller may not see the person.",
    )
    next_due_at: datetime = reads(Column(m.Site.contacts_review_due_at), "When it has to be done next.")
    overdue: bool = reads(
        Column(m.Site.contacts_review_due_at <= sa.func.now()), "Whether it should have been done by now."
    )
