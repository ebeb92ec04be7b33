"""Whom an event of the history concerns, told by its subject and the values that are kept with it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.hybrid import hybrid_property

from app.rules import Event

REQUEST = "access_request"
CONTACT = "contact"
PERSONAL = ("user", "e_notification_preference")
"""Kinds of subjects that are a person or have a person's key."""
OWNED: Mapping[str, str] = {
    REQUEST: "requester_id",
    "membership": "user_id",
    "nomination": "user_id",
    "calendar_subscription": "user_id",
}
"""Kinds of subjects that belong to a person, with where their values hold the person's key."""


def is_object(values: Any) -> sa.ColumnElement[bool]:
    """Whether there are values in a JSON column; where there are none, it holds NULL or the null of JSON."""
    return sa.func.coalesce(sa.func.jsonb_typeof(values) == "object", sa.false())


class Concern:
    """What an event says of the person it is about, for the policy: of a row, and of rows in SQL."""

    event: Any
    actor_id: Any
    subject_type: Any
    subject_id: Any
    before: Any
    after: Any

    @hybrid_property
    def user_id(self) -> UUID | None:
        """The person it is about: whose membership, request, nomination or calendar it is, or who was registered."""
        if self.subject_type in PERSONAL:
            return self.subject_id
        values = self.after or self.before or {}
        key = values.get(OWNED.get(self.subject_type, ""))
        return UUID(key) if key else None

    @user_id.inplace.expression
    @classmethod
    def _user_id(cls) -> Any:
        keys = {
            kind: sa.cast(sa.func.coalesce(cls.after[name].astext, cls.before[name].astext), sa.Uuid)
            for kind, name in OWNED.items()
        }
        return sa.case(keys | dict.fromkeys(PERSONAL, cls.subject_id), value=cls.subject_type)

    @hybrid_property
    def outlasts_access(self) -> bool:
        """Whether whom it is about may know of it without access to the site: their requests, their own person.

        That a request was brought to a site which was made after it is not told to them.
        """
        arrived = self.event is Event.ACCESS_REQUESTED and self.before is not None
        return self.subject_type in PERSONAL or (self.subject_type == REQUEST and not arrived)

    @outlasts_access.inplace.expression
    @classmethod
    def _outlasts_access(cls) -> Any:
        arrived = sa.and_(cls.event == Event.ACCESS_REQUESTED, is_object(cls.before))
        told = dict.fromkeys(PERSONAL, sa.true()) | {REQUEST: sa.not_(arrived)}
        return sa.case(told, value=cls.subject_type, else_=sa.false())

    @hybrid_property
    def contact_worker_id(self) -> UUID | None:
        """Who did it, where it tells of a contact or of the review of contacts."""
        about = self.subject_type == CONTACT or self.event is Event.CONTACTS_REVIEWED
        return self.actor_id if about else None

    @contact_worker_id.inplace.expression
    @classmethod
    def _contact_worker_id(cls) -> Any:
        about = sa.or_(cls.subject_type == CONTACT, cls.event == Event.CONTACTS_REVIEWED)
        return sa.case((about, cls.actor_id))
