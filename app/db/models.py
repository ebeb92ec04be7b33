"""Every table, with the invariants that the database itself holds.

Tenant tables carry `site_id` first in their keys and indexes, so that reads stay within one site.
What no table definition can say (frozen requests, the append-only history, "at least one" primary contact
record) stands as triggers in the migrations.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, synonym

from app import rules, texts
from app.db.base import Base, created, new_id, version
from app.db.concern import Concern
from app.db.folded import generated
from app.rules import (
    AccessRequestKind,
    AccessRequestState,
    ContactType,
    DenialReason,
    Event,
    Language,
    PurchaseAndDownloadLevel,
    Role,
    UpdateLevel,
    ViewLevel,
)

MONTH: sa.ColumnElement[Any] = sa.literal_column("interval '1 month'", sa.Interval)


class Site(Base):
    """A customer's contract site.

    It points at the membership of its primary contact through a deferred foreign key that includes the
    role: at the end of every transaction there is exactly one. Its version counts the changes of its rules:
    `pending_request_days`, `grant_at_most_held` and `second_person_confirms`.
    """

    __tablename__ = "site"
    id: Mapped[UUID] = new_id()
    number: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    primary_membership_id: Mapped[UUID]
    primary_role: Mapped[Role] = mapped_column(sa.Computed("'PRIMARY_CONTACT'::role", persisted=True))
    pending_request_days: Mapped[int | None]
    grant_at_most_held: Mapped[bool] = mapped_column(server_default=sa.false())
    second_person_confirms: Mapped[bool] = mapped_column(server_default=sa.false())
    contacts_reviewed_at: Mapped[datetime | None]
    contacts_reviewed_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("user.id"))
    created_at: Mapped[datetime] = created()
    version: Mapped[int] = version()
    site_id = synonym("id")

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["id", "primary_membership_id", "primary_role"],
            ["membership.site_id", "membership.id", "membership.role"],
            name="fk_site_primary_membership",
            deferrable=True,
            initially="DEFERRED",
            use_alter=True,
        ),
        sa.UniqueConstraint("id", "number"),
        sa.CheckConstraint("number = upper(trim(number)) AND number <> ''", name="number_is_normal"),
        sa.CheckConstraint("pending_request_days > 0", name="pending_request_days_are_positive"),
        sa.CheckConstraint(
            "(contacts_reviewed_at IS NULL) = (contacts_reviewed_by_id IS NULL)",
            name="contact_review_is_whole",
        ),
    )

    @hybrid_property
    def contacts_review_due_at(self) -> Any:
        """When the contacts are to be looked through again, in SQL: a month after the last time."""
        return sa.func.coalesce(self.contacts_reviewed_at, self.created_at) + MONTH


class User(Base):
    """A person. The identity (`issuer`, `subject`) is bound at the first sign-in with the IBMid."""

    __tablename__ = "user"
    id: Mapped[UUID] = new_id()
    ibm_id: Mapped[str]
    email: Mapped[str]
    first_name: Mapped[str | None]
    last_name: Mapped[str | None]
    language: Mapped[Language] = mapped_column(server_default="EN")
    # By an import: it counts for more than what the first request happens to say.
    language_given: Mapped[bool] = mapped_column(server_default=sa.false())
    issuer: Mapped[str | None]
    subject: Mapped[str | None]
    # Folded already, so the order of characters will do, which is the quickest and the same in every database.
    sort_name: Mapped[str] = mapped_column(sa.Text(collation="C"))
    created_at: Mapped[datetime] = created()
    user_id = synonym("id")

    __table_args__ = (
        sa.Index("uq_user_ibm_id", sa.text("lower(ibm_id)"), unique=True),
        sa.UniqueConstraint("issuer", "subject", name="uq_user_identity"),
        sa.CheckConstraint("(issuer IS NULL) = (subject IS NULL)", name="identity_is_whole"),
    )

    @hybrid_property
    def name(self) -> str:
        """First and last name, or the IBMid while these are unknown."""
        return texts.full_name(self.first_name, self.last_name) or self.ibm_id

    @name.inplace.expression
    @classmethod
    def _name(cls) -> sa.ColumnElement[str]:
        return sa.func.coalesce(
            sa.func.nullif(sa.func.concat_ws(" ", cls.first_name, cls.last_name), ""), cls.ibm_id
        )


class Membership(Base):
    """One user's access to one site: role, levels, justification, optional end.

    A secondary contact holds one of the seats 1 to 4, unique per site, so a fifth cannot exist. The
    primary contact's levels are not stored: they are the highest of everything. A trigger keeps `levels_changed_at`.
    """

    __tablename__ = "membership"
    site_id: Mapped[UUID] = mapped_column(sa.ForeignKey("site.id"), primary_key=True)
    id: Mapped[UUID] = new_id()
    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"))
    role: Mapped[Role]
    seat: Mapped[int | None] = mapped_column(sa.SmallInteger)
    purchase_and_download: Mapped[PurchaseAndDownloadLevel | None]
    reporting: Mapped[ViewLevel | None]
    entitlement_inventory: Mapped[UpdateLevel | None]
    entitlement_allocations: Mapped[UpdateLevel | None]
    manage_access: Mapped[UpdateLevel | None]
    contact_updates: Mapped[UpdateLevel | None]
    account_documents: Mapped[ViewLevel | None]
    justification: Mapped[str | None]
    ends_at: Mapped[datetime | None]
    levels_changed_at: Mapped[datetime] = created()
    created_at: Mapped[datetime] = created()
    version: Mapped[int] = version()

    @hybrid_property
    def active(self) -> bool:
        """Whether access has not ended."""
        return self.ends_at is None or self.ends_at > datetime.now(UTC)

    @active.inplace.expression
    @classmethod
    def _active(cls) -> sa.ColumnElement[bool]:
        return sa.func.coalesce(cls.ends_at > sa.func.now(), sa.true())

    __table_args__ = (
        sa.UniqueConstraint("site_id", "user_id"),
        sa.UniqueConstraint("site_id", "seat"),
        sa.UniqueConstraint("site_id", "id", "role"),
        sa.Index(
            "uq_membership_primary_contact",
            "site_id",
            unique=True,
            postgresql_where=sa.text("role = 'PRIMARY_CONTACT'"),
        ),
        sa.Index(None, "id"),
        sa.Index(None, "user_id", "site_id"),
        sa.Index(None, "ends_at", postgresql_where=sa.text("ends_at IS NOT NULL")),
        sa.CheckConstraint(
            "(role = 'SECONDARY_CONTACT') = (seat IS NOT NULL)", name="seat_is_for_secondary_contacts"
        ),
        sa.CheckConstraint(f"seat BETWEEN 1 AND {rules.SECONDARY_CONTACT_SEATS}", name="seat_exists"),
        sa.CheckConstraint(
            "role <> 'PRIMARY_CONTACT' OR ends_at IS NULL", name="primary_contact_does_not_end"
        ),
        sa.CheckConstraint(
            f"num_nulls({', '.join(rules.PRIVILEGES)}) ="
            f" CASE role WHEN 'PRIMARY_CONTACT' THEN {len(rules.PRIVILEGES)} ELSE 0 END",
            name="levels_are_stored_but_for_the_primary_contact",
        ),
        sa.CheckConstraint(
            "role <> 'USER' OR (manage_access = 'NONE' AND contact_updates = 'NONE')",
            name="levels_fit_the_role",
        ),
    )


class Contact(Base):
    """A person the vendor writes to about the site; exactly one of a site has the type `PRIMARY`."""

    __tablename__ = "contact"
    site_id: Mapped[UUID] = mapped_column(sa.ForeignKey("site.id"), primary_key=True)
    id: Mapped[UUID] = new_id()
    first_name: Mapped[str]
    last_name: Mapped[str]
    phone: Mapped[str]
    email: Mapped[str]
    address: Mapped[str]
    city: Mapped[str]
    state_or_province: Mapped[str | None]
    postal_code: Mapped[str | None]
    country: Mapped[str]
    types: Mapped[list[ContactType]]
    created_at: Mapped[datetime] = created()
    version: Mapped[int] = version()
    sort_name: Mapped[str] = mapped_column(sa.Text(collation="C"), generated("last_name", "first_name"))

    __table_args__ = (
        sa.Index(
            "uq_contact_primary", "site_id", unique=True, postgresql_where=sa.text("'PRIMARY' = ANY(types)")
        ),
        sa.Index(None, "id"),
        sa.CheckConstraint("cardinality(types) > 0", name="has_a_type"),
        sa.CheckConstraint("has_no_duplicates(types)", name="types_differ"),
        sa.CheckConstraint("country ~ '^[A-Z]{2}$'", name="country_is_a_code"),
    )

    @property
    def name(self) -> str:
        """First and last name."""
        return texts.full_name(self.first_name, self.last_name)


class AccessRequest(Base):
    """A user asks for access to a site, by number; a member asks for a later end or for more.

    A request for a number that no site has, or of somebody whom the site has blocked, is kept just the same,
    without a site: so the answer does not tell whether the site exists. A closed request is frozen by a trigger.
    """

    __tablename__ = "access_request"
    id: Mapped[UUID] = new_id()
    site_id: Mapped[UUID | None]
    site_number: Mapped[str]
    requester_id: Mapped[UUID] = mapped_column(sa.ForeignKey("user.id"))
    kind: Mapped[AccessRequestKind] = mapped_column(default=AccessRequestKind.ACCESS, server_default="ACCESS")
    state: Mapped[AccessRequestState] = mapped_column(default=AccessRequestState.PENDING)
    justification: Mapped[str | None]
    purchase_and_download: Mapped[PurchaseAndDownloadLevel | None]
    reporting: Mapped[ViewLevel | None]
    entitlement_inventory: Mapped[UpdateLevel | None]
    entitlement_allocations: Mapped[UpdateLevel | None]
    manage_access: Mapped[UpdateLevel | None]
    contact_updates: Mapped[UpdateLevel | None]
    account_documents: Mapped[ViewLevel | None]
    requested_role: Mapped[Role | None]
    requested_ends_at: Mapped[datetime | None]
    approver_justification: Mapped[str | None]
    granted_role: Mapped[Role | None]
    denial_reason: Mapped[DenialReason | None]
    decided_by_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("user.id"))
    closed_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = created()
    user_id = synonym("requester_id")

    @hybrid_property
    def current_state(self) -> AccessRequestState:
        """The state at this moment: a request nobody decided in time has expired without anybody's doing."""
        late = self.expires_at is not None and self.expires_at <= datetime.now(UTC)
        return AccessRequestState.EXPIRED if late and self.state is AccessRequestState.PENDING else self.state

    @current_state.inplace.expression
    @classmethod
    def _current_state(cls) -> sa.ColumnElement[AccessRequestState]:
        late = sa.and_(cls.state == AccessRequestState.PENDING, cls.expires_at <= sa.func.now())
        return sa.case((late, sa.literal(AccessRequestState.EXPIRED, cls.state.type)), else_=cls.state)

    __table_args__ = (
        sa.ForeignKeyConstraint(["site_id", "site_number"], ["site.id", "site.number"]),
        sa.Index(
            "uq_access_request_pending",
            "site_number",
            "requester_id",
            unique=True,
            postgresql_where=sa.text("state = 'PENDING'"),
        ),
        sa.Index(None, "site_id", "created_at", "id"),
        sa.Index(None, "requester_id", "created_at", "id"),
        sa.Index(None, "decided_by_id"),
        sa.Index(None, "expires_at", postgresql_where=sa.text("expires_at IS NOT NULL")),
        sa.CheckConstraint("(state = 'PENDING') = (closed_at IS NULL)", name="closed_has_a_date"),
        sa.CheckConstraint(
            "(state IN ('GRANTED', 'DENIED')) = (decided_by_id IS NOT NULL)", name="decision_has_a_decider"
        ),
        sa.CheckConstraint("decided_by_id <> requester_id", name="never_decided_by_the_requester"),
        sa.CheckConstraint("(state = 'DENIED') = (denial_reason IS NOT NULL)", name="denial_has_a_reason"),
        sa.CheckConstraint("(state = 'GRANTED') = (granted_role IS NOT NULL)", name="grant_has_a_role"),
        sa.CheckConstraint("granted_role <> 'PRIMARY_CONTACT'", name="never_grants_the_primary_contact"),
        sa.CheckConstraint(
            "state NOT IN ('GRANTED', 'DENIED') OR site_id IS NOT NULL", name="decision_has_a_site"
        ),
        sa.CheckConstraint("kind = 'ACCESS' OR site_id IS NOT NULL", name="request_of_a_member_has_a_site"),
        sa.CheckConstraint(
            "(kind = 'EXTENSION') = (requested_ends_at IS NOT NULL)", name="extension_has_an_end"
        ),
        sa.CheckConstraint(
            "requested_role IS NULL OR (kind = 'HIGHER_LEVEL' AND requested_role = 'SECONDARY_CONTACT')",
            name="requested_role_is_higher",
        ),
    )


class HistoryEvent(Concern, Base):
    """One change, for ever: who, what, when, on what, before and after, why, through which client.

    Events of one stream (a site, or a person for what concerns no site) are numbered and chained: each holds
    a hash over itself and its predecessor's hash. A trigger computes both; nothing may be altered. Columns without
    a value are not hashed, so that new columns leave old hashes as they are, and neither is the id.
    """

    __tablename__ = "history_event"
    stream: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(
        sa.BigInteger, primary_key=True, autoincrement=False, server_default="0"
    )
    id: Mapped[UUID] = mapped_column(unique=True, server_default=sa.func.gen_random_uuid())
    site_id: Mapped[UUID | None]
    at: Mapped[datetime] = created()
    event: Mapped[Event]
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str]
    client: Mapped[str | None]
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    subject_name: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    reason: Mapped[str | None]
    justification: Mapped[str | None]
    previous_hash: Mapped[bytes | None]
    hash: Mapped[bytes] = mapped_column(server_default=sa.text("''::bytea"))

    __table_args__ = (
        sa.Index(None, "subject_id", "number"),
        sa.Index(None, "stream", "actor_id", "number"),
        sa.Index(None, "stream", "at", "number"),
        sa.Index(None, "hash"),
    )
