"""The arguments of lists: filters, orders, and places in the list."""

from datetime import datetime
from typing import Annotated

import strawberry

from app.schema.delivery_enums import MessageOrderField, MessageState
from app.schema.enums import (
    AccessRequestKind,
    AccessRequestOrderField,
    AccessRequestState,
    ContactType,
    Event,
    HistoryOrderField,
    MembershipOrderField,
    OrderDirection,
    Role,
    Topic,
)
from app.schema.inputs import PrivilegesInput, described


@strawberry.input(description="Which memberships to list; all given conditions hold.")
class MembershipFilter:
    """Which memberships."""

    roles: list[Role] | None = described("Has one of these roles.", default=None)
    text: str | None = described(
        "Name, e-mail address or IBMid contain each of these words, without regard to case and accents; at most 100 "
        "characters.",
        default=None,
    )
    active: bool | None = described("Access has not ended, or has.", default=None)
    privileges_at_least: PrivilegesInput | None = described(
        "May use at least these levels at this moment; an ended membership has NONE of everything.",
        default=None,
    )


@strawberry.input(description="How memberships are sorted.")
class MembershipOrder:
    """How memberships are sorted."""

    field: MembershipOrderField = described("By what.")
    direction: OrderDirection = described("Which way.", default=OrderDirection.ASC)


@strawberry.input(description="Which access requests to list; all given conditions hold.")
class AccessRequestFilter:
    """Which requests."""

    states: list[AccessRequestState] | None = described("Is in one of these states.", default=None)
    kinds: list[AccessRequestKind] | None = described("Is of one of these kinds.", default=None)


@strawberry.input(description="How access requests are sorted.")
class AccessRequestOrder:
    """How requests are sorted."""

    field: AccessRequestOrderField = described("By what.")
    direction: OrderDirection = described("Which way.", default=OrderDirection.ASC)


@strawberry.input(description="Which events to list; all given conditions hold.")
class HistoryFilter:
    """Which events."""

    actor_ids: list[strawberry.ID] | None = described(
        "Was done by one of these users, at most 100; only where the caller may know who did it.",
        default=None,
    )
    subject_ids: list[strawberry.ID] | None = described(
        "Is about one of these things, at most 100, be they there or gone.", default=None
    )
    events: list[Event] | None = described("Is one of these.", default=None)
    from_: datetime | None = described("Was done at this moment or later.", name="from", default=None)
    until: datetime | None = described("Was done before this moment.", default=None)
    text: str | None = described(
        "The name of the subject or of the actor, reason or justification contain each of these words, without regard "
        "to case and accents; at most 100 characters.",
        default=None,
    )


@strawberry.input(description="How events are sorted.")
class HistoryOrder:
    """How events are sorted."""

    field: HistoryOrderField = described("By what.", default=HistoryOrderField.NUMBER)
    direction: OrderDirection = described("Which way.", default=OrderDirection.ASC)


@strawberry.input(description="Which messages to list; all given conditions hold.")
class MessageFilter:
    """Which messages."""

    states: list[MessageState] | None = described("Is in one of these states.", default=None)


@strawberry.input(description="How messages are sorted.")
class MessageOrder:
    """How messages are sorted."""

    field: MessageOrderField = described("By what.")
    direction: OrderDirection = described("Which way.", default=OrderDirection.ASC)


First = Annotated[
    int | None,
    strawberry.argument(
        description="How many from the beginning: 20 by default, at most 100 unless the installation allows more."
    ),
]
After = Annotated[str | None, strawberry.argument(description="Only what comes after this cursor.")]
Last = Annotated[
    int | None, strawberry.argument(description="How many from the end; not together with first.")
]
Before = Annotated[str | None, strawberry.argument(description="Only what comes before this cursor.")]
WhichMemberships = Annotated[
    MembershipFilter | None, strawberry.argument(description="Which ones; all by default.")
]
MembershipsBy = Annotated[
    MembershipOrder | None, strawberry.argument(description="In which order; by name by default.")
]
WhichAccessRequests = Annotated[
    AccessRequestFilter | None, strawberry.argument(description="Which ones; all by default.")
]
AccessRequestsBy = Annotated[
    AccessRequestOrder | None, strawberry.argument(description="In which order; oldest first by default.")
]
WhichEvents = Annotated[HistoryFilter | None, strawberry.argument(description="Which ones; all by default.")]
EventsBy = Annotated[
    HistoryOrder | None, strawberry.argument(description="In which order; oldest first by default.")
]
WhichMessages = Annotated[
    MessageFilter | None, strawberry.argument(description="Which ones; all by default.")
]
MessagesBy = Annotated[
    MessageOrder | None, strawberry.argument(description="In which order; oldest first by default.")
]
WithType = Annotated[ContactType | None, strawberry.argument(description="Only those who hold this type.")]
Matter = Annotated[ContactType, strawberry.argument(description="What it is about.")]
About = Annotated[Topic, strawberry.argument(description="What the communication is about.")]
