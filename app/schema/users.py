"""People, as the schema shows them."""

import strawberry

from app.db import models as m
from app.policy import Action, allowed
from app.query.declare import Column, Group, reads
from app.schema.arguments import After, Before, First, Last, WhichEvents
from app.schema.enums import Language
from app.schema.history import ANYWHERE, HistoryEvent, history_of
from app.schema.lists import Connection, Node, opaque_id
from app.schema.preferences import ENotifications


@strawberry.type(
    description="A person. Everyone sees themselves; others appear with what shows them. "
    + allowed(Action.SEE_USERS)
)
class User(Node):
    """A person."""

    id: strawberry.ID = opaque_id("user", m.User.id)
    ibm_id: str = reads(Column(m.User.ibm_id), "The IBMid, unique without regard to case.")
    email: str = reads(Column(m.User.email), "E-mail address of the person.")
    name: str = reads(
        Column(m.User.name),
        "First and last name; the IBMid where neither is known.",
    )
    first_name: str | None = reads(
        Column(m.User.first_name),
        "First name; null until the person has signed in, unless an operator gave it.",
    )
    last_name: str | None = reads(
        Column(m.User.last_name),
        "Last name; null until the person has signed in, unless an operator gave it.",
    )
    has_signed_in: bool = reads(Column(m.User.subject.is_not(None)), "Whether the person has ever signed in.")
    language: Language = reads(
        Column(m.User.language), "Language the person is written to in; English until it is known."
    )
    e_notifications: ENotifications | None = reads(
        Group(needs=Action.SEE_E_NOTIFICATIONS),
        "What the person has set for eNotifications; null for everybody else.",
        Action.SEE_E_NOTIFICATIONS,
    )

    @reads(
        history_of("subject_id", ANYWHERE),
        "What was changed of the person and of their eNotifications, oldest first; empty for everybody else.",
        Action.SEE_E_NOTIFICATIONS,
    )
    def history(
        self,
        filter: WhichEvents = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[HistoryEvent]: ...
