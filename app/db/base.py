"""What all tables have in common: how their constraints are named, which types their columns have."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from app import rules
from app.rules import ContactType


def enum_type(kind: type[Any]) -> sa.Enum:
    """The type of the columns that have one of these values, which stand there by their names."""
    return sa.Enum(kind, name=rules.snake(kind.__name__))


STORED_ENUMS = (
    rules.AccessRequestKind,
    rules.AccessRequestState,
    rules.ContactType,
    rules.DenialReason,
    rules.Event,
    rules.Language,
    rules.MessageFault,
    rules.MessageKind,
    rules.MessageState,
    rules.PurchaseAndDownloadLevel,
    rules.Role,
    rules.UpdateLevel,
    rules.ViewLevel,
)


class Base(DeclarativeBase):
    """Names constraints by one convention, so that a violation can be told by its name."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: sa.TIMESTAMP(timezone=True),
        str: sa.Text,
        list[ContactType]: ARRAY(enum_type(ContactType)),
        dict[str, Any]: JSONB,
        **{kind: enum_type(kind) for kind in STORED_ENUMS},
    }

    def __init__(self, **values: Any) -> None:
        unknown = values.keys() - self.__table__.columns.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        # What has changed is found by comparing (see `session`), so nobody has to be told of each value.
        self.__dict__.update(values)


def new_id() -> Mapped[UUID]:
    """A key in order of time, so that rows written together lie together."""
    return mapped_column(primary_key=True, default=uuid7)


def version() -> Mapped[int]:
    """How often the row was written; a trigger counts."""
    return mapped_column(server_default=sa.text("1"))


def created() -> Mapped[datetime]:
    """When the row was written."""
    return mapped_column(server_default=sa.func.now())
