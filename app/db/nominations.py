"""The table of nominations: whom the primary contact of a site has asked to take over."""

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, created, new_id
from app.rules import NominationState


class Nomination(Base):
    """The primary contact asks a member to take over; at most one at a time is pending at a site.

    `membership_id` is the nominee's membership exactly while the nomination is pending, so that the database lets
    nobody remove it without closing the nomination. A closed nomination is frozen by a trigger.
    """

    __tablename__ = "nomination"
    site_id: Mapped[UUID] = mapped_column(sa.ForeignKey("site.id"), primary_key=True)
    id: Mapped[UUID] = new_id()
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"))
    membership_id: Mapped[UUID | None]
    nominated_by_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"))
    state: Mapped[NominationState] = mapped_column(
        sa.Enum(NominationState, name="nomination_state"), default=NominationState.PENDING
    )
    justification: Mapped[str]
    expires_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = created()

    @hybrid_property
    def current_state(self) -> NominationState:
        """The state at this moment: what nobody answered in time has expired without anybody's doing."""
        late = self.state is NominationState.PENDING and self.expires_at <= datetime.now(UTC)
        return NominationState.EXPIRED if late else self.state

    @current_state.inplace.expression
    @classmethod
    def _current_state(cls) -> sa.ColumnElement[NominationState]:
        late = sa.and_(cls.state == NominationState.PENDING, cls.expires_at <= sa.func.now())
        return sa.case((late, sa.literal(NominationState.EXPIRED, cls.state.type)), else_=cls.state)

    __table_args__ = (
        sa.ForeignKeyConstraint(["site_id", "membership_id"], ["membership.site_id", "membership.id"]),
        sa.Index(
            "uq_nomination_pending", "site_id", unique=True, postgresql_where=sa.text("state = 'PENDING'")
        ),
        sa.Index(None, "id"),
        sa.Index(None, "user_id"),
        sa.CheckConstraint("user_id <> nominated_by_id", name="nominee_is_somebody_else"),
        sa.CheckConstraint("(state = 'PENDING') = (closed_at IS NULL)", name="closed_has_a_date"),
        sa.CheckConstraint("(state = 'PENDING') = (membership_id IS NOT NULL)", name="nominee_is_a_member"),
        sa.CheckConstraint("expires_at > created_at", name="expires_after_it_was_made"),
    )
