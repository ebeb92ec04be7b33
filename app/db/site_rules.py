"""The tables beside a site's stricter rules: blocked requesters, privilege templates, namings that wait.

That a closed naming is frozen stands as a trigger in the migration.
"""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, created, enum_type, new_id, version
from app.db.folded import generated
from app.rules import PurchaseAndDownloadLevel, UpdateLevel, ViewLevel
from app.site_rules import TEMPLATE_SLOTS, NamingKind, NamingState


class SomeLevels:
    """Levels that a row speaks of; one of which it says nothing is null."""

    purchase_and_download: Mapped[PurchaseAndDownloadLevel | None]
    reporting: Mapped[ViewLevel | None]
    entitlement_inventory: Mapped[UpdateLevel | None]
    entitlement_allocations: Mapped[UpdateLevel | None]
    manage_access: Mapped[UpdateLevel | None]
    contact_updates: Mapped[UpdateLevel | None]
    account_documents: Mapped[ViewLevel | None]


class BlockedRequester(Base):
    """Somebody whose requests do not reach the site, by IBMid, since they need not be known here yet.

    What they ask is kept without the site, like a request for a number that no site has.
    """

    __tablename__ = "blocked_requester"
    site_id: Mapped[UUID] = mapped_column(sa.ForeignKey("site.id"), primary_key=True)
    id: Mapped[UUID] = new_id()
    ibm_id: Mapped[str]
    reason: Mapped[str | None]
    blocked_by_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"))
    created_at: Mapped[datetime] = created()

    __table_args__ = (
        sa.Index("uq_blocked_requester_ibm_id", "site_id", sa.text("lower(ibm_id)"), unique=True),
        sa.Index(None, "id"),
    )


class PrivilegeTemplate(SomeLevels, Base):
    """Levels that a site gives together, under a name; it holds one of the site's slots."""

    __tablename__ = "privilege_template"
    site_id: Mapped[UUID] = mapped_column(sa.ForeignKey("site.id"), primary_key=True)
    id: Mapped[UUID] = new_id()
    slot: Mapped[int] = mapped_column(sa.SmallInteger)
    name: Mapped[str]
    created_at: Mapped[datetime] = created()
    version: Mapped[int] = version()
    sort_name: Mapped[str] = mapped_column(sa.Text(collation="C"), generated("name"))

    __table_args__ = (
        sa.UniqueConstraint("site_id", "slot"),
        sa.Index("uq_privilege_template_name", "site_id", sa.text("lower(name)"), unique=True),
        sa.Index(None, "id"),
        sa.CheckConstraint(f"slot BETWEEN 1 AND {TEMPLATE_SLOTS}", name="slot_exists"),
    )


class Naming(SomeLevels, Base):
    """Somebody is to become a secondary contact, which waits for a second person.

    It keeps what was to be done (`kind`, levels, justification), so that the confirmation can do it. A person has at
    most one that waits at a site. A closed one is frozen by a trigger.
    """

    __tablename__ = "naming"
    site_id: Mapped[UUID] = mapped_column(sa.ForeignKey("site.id"), primary_key=True)
    id: Mapped[UUID] = new_id()
    kind: Mapped[NamingKind] = mapped_column(enum_type(NamingKind))
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"))
    access_request_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("access_request.id"))
    justification: Mapped[str | None]
    ends_at: Mapped[datetime | None]
    state: Mapped[NamingState] = mapped_column(enum_type(NamingState), default=NamingState.PENDING)
    proposed_by_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"))
    decided_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("user.id"))
    closed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = created()

    __table_args__ = (
        sa.Index(
            "uq_naming_pending",
            "site_id",
            "user_id",
            unique=True,
            postgresql_where=sa.text("state = 'PENDING'"),
        ),
        sa.Index(None, "id"),
        sa.Index(None, "site_id", "created_at", "id"),
        sa.CheckConstraint("(kind = 'GRANT') = (access_request_id IS NOT NULL)", name="grant_has_a_request"),
        sa.CheckConstraint("(state = 'PENDING') = (closed_at IS NULL)", name="closed_has_a_date"),
        sa.CheckConstraint(
            "(state IN ('CONFIRMED', 'REJECTED')) = (decided_by_id IS NOT NULL)",
            name="decision_has_a_decider",
        ),
        sa.CheckConstraint("decided_by_id <> proposed_by_id", name="never_decided_by_the_proposer"),
        sa.CheckConstraint("decided_by_id <> user_id", name="never_decided_by_the_named"),
        sa.CheckConstraint("proposed_by_id <> user_id", name="never_proposed_by_the_named"),
    )
