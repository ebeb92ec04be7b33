"""The table of which member used which privilege last when."""

from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base
from app.rules import PrivilegeName


class PrivilegeUse(Base):
    """The last day, in UTC, on which a member used a privilege; it goes with the membership.

    What is older than `rules.DAYS_UNUSED` says no more than a row that is missing, and may be deleted at any time.
    """

    __tablename__ = "privilege_use"
    site_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    privilege: Mapped[PrivilegeName] = mapped_column(
        sa.Enum(PrivilegeName, name="privilege_name"), primary_key=True
    )
    last_used_on: Mapped[date]

    __table_args__ = (
        sa.ForeignKeyConstraint(
            ["site_id", "user_id"], ["membership.site_id", "membership.user_id"], ondelete="CASCADE"
        ),
    )
