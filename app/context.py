"""One per request: the caller, reading, and writing in a transaction that asks the policy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from app import history, rules
from app.actor import Actor
from app.db.models import AccessRequest, Contact, Membership, Site
from app.db.webhooks import Webhook, WebhookDelivery
from app.errors import Code, Fault, UserError, bad_input, refuse, unauthenticated
from app.identity import standings_of
from app.language import translate
from app.policy import NOT_OWN, NOT_PRIMARY, SEEING, Action, allows, denial
from app.query.collect import Selected, walk
from app.query.cost import MAXIMUM_OBJECTS, spend
from app.query.declare import Arguments, Paged, Relation
from app.query.ids import parse_id
from app.query.load import Reader
from app.query.page import MAXIMUM_SIZE, Page
from app.rules import Event, Language
from app.webhook_rules import WEBHOOK_SLOTS

Row = TypeVar("Row", Site, Membership, Contact, AccessRequest, Webhook, WebhookDelivery)
BUSY = {"55P03", "40P01", "40001"}
"""PostgreSQL's codes for: lock not available, deadlock, serialization failure."""
DATA_EXCEPTION = "22"
"""PostgreSQL's class of codes for values it cannot take, as a forged cursor can hold."""


def _fault(code: Code, *path: str | int, **parameters: Any) -> Fault:
    return Fault(code=code, path=path, parameters=parameters)


BY_CONSTRAINT = {
    "uq_membership_site_id_seat": _fault(
        Code.SECONDARY_CONTACT_LIMIT,
        "role",
        limit=rules.SECONDARY_CONTACT_SEATS,
        current=rules.SECONDARY_CONTACT_SEATS,
    ),
    "uq_membership_site_id_user_id": _fault(Code.ALREADY_MEMBER),
    "uq_membership_primary_contact": _fault(Code.ROLE_NOT_ASSIGNABLE, "role"),
    "ck_membership_levels_fit_the_role": _fault(Code.LEVEL_NOT_FOR_ROLE, "privileges"),
    "fk_site_primary_membership": _fault(Code.FORBIDDEN, reason=NOT_PRIMARY.denial),
    "uq_access_request_pending": _fault(Code.PENDING_REQUEST_EXISTS, "siteNumber"),
    "access_request_is_closed": _fault(Code.REQUEST_CLOSED, "accessRequestId"),
    "ck_access_request_never_decided_by_the_requester": _fault(Code.FORBIDDEN, reason=NOT_OWN.denial),
    "uq_contact_primary": _fault(Code.SEVERAL_PRIMARY_CONTACTS, "types"),
    "site_has_primary_contact_record": _fault(Code.PRIMARY_CONTACT_TYPE_REQUIRED, "types"),
    "uq_site_number": _fault(Code.NUMBER_TAKEN, "number"),
    "uq_webhook_site_id_slot": _fault(Code.WEBHOOK_LIMIT, limit=WEBHOOK_SLOTS, current=WEBHOOK_SLOTS),
}
"""What the violation of a constraint means to people, should a race or a bug get past the checks."""


@dataclass
class Context:
    """What belongs to one request."""

    database: AsyncEngine
    actor: Actor
    language: Language
    page_limit: int = MAXIMUM_SIZE
    budget: int = MAXIMUM_OBJECTS
    private_webhooks: bool = False

    def require_signed_in(self) -> UUID:
        """The caller's user id. Raises UNAUTHENTICATED for anonymous callers."""
        if self.actor.user_id is None:
            raise unauthenticated("Sign in: send a bearer token in the Authorization header.")
        return self.actor.user_id

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading, on one snapshot."""
        try:
            async with self.database.connect() as connection:
                await connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
                yield connection
        except DBAPIError as error:
            if _sqlstate(error).startswith(DATA_EXCEPTION):
                raise bad_input("A value in the request cannot be compared with what is kept.") from error
            raise

    def accept(self, selected: Selected) -> None:
        """Look at a selection before anything is done for it, so that no change is made whose answer is refused.

        Raises BAD_USER_INPUT when it asks for too much, or with arguments that cannot be.
        """
        self.budget = spend(self.budget, selected)
        for field in walk(selected):
            arguments = field.arguments
            if isinstance(field.declaration, Paged):
                Page.parse(f"{field.owner}.{field.name}", arguments, self.page_limit)
            if isinstance(field.declaration, Relation) and field.declaration.where:
                field.declaration.where(Arguments(arguments), self.actor)

    async def read(self, selected: Selected) -> Any:
        """Read what is selected below a root field."""
        self.accept(selected)
        async with self.connection() as connection:
            return await Reader(connection, self).root(selected)

    async def read_back(self, selected: Selected, values: dict[str, Any]) -> Any:
        """Read a payload after a change, with the rights that hold now."""
        user_id = self.require_signed_in()
        async with self.connection() as connection:
            self.actor = replace(self.actor, standings=await standings_of(connection, user_id))
            return (await Reader(connection, self).complete(selected.shape, [values]))[0]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Transaction"]:
        """A unit of work: it commits whole or not at all, and only after the policy was asked.

        Raises the UserError of a violated constraint.
        """
        self.require_signed_in()
        try:
            async with AsyncSession(self.database, expire_on_commit=False) as session, session.begin():
                transaction = Transaction(
                    session, self.actor, self.language, private_webhooks=self.private_webhooks
                )
                yield transaction
                await session.flush()
                if not transaction.asked:
                    raise RuntimeError("a transaction that never asked the policy cannot commit")
        except DBAPIError as error:
            raise _meaning(error) from error


def _meaning(error: DBAPIError) -> Exception:
    constraint = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
    if isinstance(error, IntegrityError) and constraint in BY_CONSTRAINT:
        return UserError(BY_CONSTRAINT[constraint])
    return refuse(Code.CONFLICT) if _sqlstate(error) in BUSY else error


def _sqlstate(error: DBAPIError) -> str:
    return getattr(getattr(error.orig, "__cause__", None), "sqlstate", None) or ""


@dataclass
class Transaction:
    """The writes of one mutation. All writes to a site take turns, by the lock on its row."""

    session: AsyncSession
    actor: Actor
    language: Language
    asked: bool = False
    private_webhooks: bool = False

    async def fetch(self, model: type[Row], id: str, action: Action, *path: str | int) -> Row:
        """Lock and return a row that the caller may do `action` with; `path` is where the id was given.

        Raises WRONG_ID_KIND, NOT_FOUND for what the caller may not see, and FORBIDDEN with the rule in words.
        """
        kind = rules.snake(model.__name__)
        parsed = parse_id(id)
        if not parsed or parsed[0] != kind:
            raise refuse(Code.WRONG_ID_KIND, *path, expected=model.__name__)
        key = parsed[1]
        site_id = await self.session.scalar(sa.select(model.site_id).where(model.id == key))
        await self.lock_site(site_id)
        statement = sa.select(model).where(model.id == key).with_for_update(key_share=True)
        row = await self.session.scalar(statement.execution_options(populate_existing=True))
        if row is None or not allows(self.actor, SEEING[model], row):
            raise refuse(Code.NOT_FOUND, *path)
        self.require(action, row, *path)
        return row

    async def lock_site(self, site_id: UUID | None) -> None:
        """Wait for other writers of the site, and see the caller's rights as they left them."""
        if site_id is None or self.actor.user_id is None:
            return
        lock = sa.select(Site.id).where(Site.id == site_id).with_for_update(key_share=True)
        await self.session.execute(lock)
        standings = await standings_of(self.session, self.actor.user_id, site_id)
        self.actor = replace(self.actor, standings=MappingProxyType({**standings}))

    def require(self, action: Action, row: Any, *path: str | int) -> None:
        """Ask the policy. Raises FORBIDDEN with the rule in words, in the caller's language."""
        self.asked = True
        if not allows(self.actor, action, row):
            reason = denial(self.actor, action, row, lambda text: translate(text, self.language))
            raise refuse(Code.FORBIDDEN, *path, reason=reason)

    def record(self, event: Event, row: Any, **details: Any) -> None:
        """Add the event of this change to the history (see `history.record`)."""
        history.record(self.session, self.actor, event, row, **details)
