"""One per request: the caller, reading, and writing in a transaction that asks the policy."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Protocol, TypeVar
from uuid import UUID

import asyncpg
import sqlalchemy as sa
from graphql import GraphQLResolveInfo
from sqlalchemy.orm import aliased

from app import history, rules
from app.actor import Actor, Identity, Standing
from app.db.base import Base
from app.db.models import AccessRequest, Contact, HistoryEvent, Membership, Site
from app.db.nominations import Nomination
from app.db.pool import Pool
from app.db.preferences import CalendarSubscription
from app.db.session import Session
from app.db.site_rules import BlockedRequester, Naming, PrivilegeTemplate
from app.db.statements import Prepared, prepare
from app.db.transaction import begin, snapshot
from app.db.webhooks import Webhook, WebhookDelivery
from app.errors import Code, bad_input, refuse, unauthenticated
from app.identity import sign_in, standings_of
from app.language import translate
from app.policy import SEEING, Action, allows, denial, privilege_used, standing
from app.privilege_uses import Use, Uses
from app.query.collect import Selected, collect, walk
from app.query.cost import MAXIMUM_OBJECTS, spend
from app.query.declare import Arguments, Paged, Relation
from app.query.ids import parse_id
from app.query.load import Interpreter
from app.query.page import MAXIMUM_SIZE, Page
from app.rules import Event, Language
from app.violations import meaning

OWN = aliased(Membership)
"""The caller's own membership."""
KEY = sa.bindparam("key", type_=sa.Uuid)
Row = TypeVar(
    "Row", Site, Membership, Contact, AccessRequest, CalendarSubscription, Webhook, WebhookDelivery,
    BlockedRequester, PrivilegeTemplate, Naming, Nomination,
)  # fmt: skip


class Completer(Protocol):
    """Completes the values that a resolver gives, as GraphQL calls it, into what its field is answered with."""

    async def complete(self, values: Mapping[str, Any], tx: "Transaction | None" = None) -> Any:
        """The answer, with what the values refer to as it is now, or as it is in a transaction."""
        ...


@dataclass
class Context:
    """What belongs to one request: who calls, and the connections to read and to write with.

    `identity` is whom the token speaks for, nobody for anonymous callers; `actor` is anonymous until `sign_in`.
    """

    pool: Pool
    writes: Pool
    actor: Actor
    language: Language
    identity: Identity | None = None
    wished: Language | None = None
    """The language that the request names."""
    page_limit: int = MAXIMUM_SIZE
    public_url: str = ""
    private_webhooks: bool = False
    uses: Uses | None = None
    budget: int = MAXIMUM_OBJECTS
    """How many more objects may be asked for, where graphql-core executes one root after the other."""
    completers: dict[Any, Completer] = field(default_factory=dict)
    """What the read engine has planned for the roots that are resolved, by their keys in the response."""

    async def sign_in(self) -> None:
        """Find out who calls, and what they may do at this moment; anonymous callers stay so.

        Raises UNAUTHENTICATED when the IBMid is bound to another identity.
        """
        if self.identity:
            self.actor = await sign_in(self.pool, self.writes, self.identity, self.wished)
            self.language = self.wished or self.actor.language

    def require_signed_in(self) -> UUID:
        """The caller's user id. Raises UNAUTHENTICATED for anonymous callers."""
        if self.actor.user_id is None:
            raise unauthenticated("Sign in: send a bearer token in the Authorization header.")
        return self.actor.user_id

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Session]:
        """What the database holds at this moment, to be read only."""
        try:
            async with snapshot(self.pool) as session:
                yield session
        except asyncpg.DataError as error:
            raise bad_input("A value in the request cannot be compared with what is kept.") from error

    def completer(self, info: GraphQLResolveInfo[Any]) -> Completer:
        """How the field that is being resolved will be completed, looked at before anything is done for it.

        Raises BAD_USER_INPUT when it asks for too much, or with arguments that cannot be.
        """
        return self.completers.get(info.path.key) or Interpreted(self, self.accept(collect(info)))

    def accept(self, selected: Selected) -> Selected:
        """Look at a selection. Raises BAD_USER_INPUT when it asks for too much, or with impossible arguments."""
        self.budget = spend(self.budget, selected)
        for below in walk(selected):
            arguments = below.arguments
            if isinstance(below.declaration, Paged):
                Page.parse(below.coordinate, arguments, self.page_limit)
            if isinstance(below.declaration, Relation) and below.declaration.where:
                below.declaration.where(Arguments(arguments), self.actor)
        return selected

    async def read(self, selected: Selected) -> Any:
        """Read what is selected below a root field, by interpreting it."""
        self.accept(selected)
        async with self.snapshot() as session:
            return await Interpreter(session, self).root(selected)

    @asynccontextmanager
    async def transaction(self, keep: bool = True) -> AsyncIterator["Transaction"]:
        """A unit of work: it commits whole or not at all, and only after the policy was asked.

        What shall not be kept is taken back in the end. Raises the UserError of a violated constraint.
        """
        self.require_signed_in()
        try:
            async with begin(self.writes) as session:
                transaction = Transaction(
                    session, self.actor, self.language, private_webhooks=self.private_webhooks
                )
                yield transaction
                if not transaction.asked:
                    raise RuntimeError("a transaction that never asked the policy cannot commit")
                session.keeps = keep
        except asyncpg.PostgresError as error:
            raise meaning(error) from error
        if keep:
            self.note(transaction.uses)

    def note(self, uses: Iterable[Use]) -> None:
        """Remember which privileges the caller used."""
        if self.uses:
            self.uses.note(uses)


@dataclass(frozen=True)
class Interpreted:
    """The completer of a field that graphql-core answers: it gives objects of values instead of text."""

    context: Context
    selected: Selected

    async def complete(self, values: Mapping[str, Any], tx: "Transaction | None" = None) -> Any:
        """The objects of given values and of what they refer to, with the rights that hold now."""
        if tx:
            return await self._complete(tx.session, values)
        async with self.context.snapshot() as session:
            return await self._complete(session, values)

    async def _complete(self, session: Session, values: Mapping[str, Any]) -> Any:
        context = self.context
        if context.actor.user_id:
            standings = await standings_of(session, context.actor.user_id)
            context.actor = replace(context.actor, standings=standings)
        return (await Interpreter(session, context).complete(self.selected.shape, [values]))[0]


def key_in(id: str, model: type[Base], *path: str | int) -> UUID:
    """The key in an id that a person's program gives. Raises WRONG_ID_KIND for the id of something else."""
    parsed = parse_id(id)
    if not parsed or parsed[0] != rules.snake(model.__name__):
        raise refuse(Code.WRONG_ID_KIND, *path, expected=model.__name__)
    return parsed[1]


@cache
def _lock_site_of(model: type[Row]) -> Prepared:
    """Waits until nobody else writes to the site of a row with a `key`."""
    site_id = sa.select(model.site_id).where(model.id == KEY).scalar_subquery()
    return prepare(sa.select(Site.id).where(Site.id == site_id).with_for_update(key_share=True))


@cache
def _of_anybody(model: type[Row]) -> Prepared:
    """A row with a `key`, locked, and the values of the standing of the user with a `user_id` at its site."""
    found = sa.select(model, *standing(OWN)).outerjoin(OWN, _is_own(model)).where(model.id == KEY)
    return prepare(found.with_for_update(key_share=True, of=model))


@cache
def _of_member(model: type[Row]) -> Prepared:
    """The same by one statement that locks the site as well, for whom was a member of it when the statement began.

    PostgreSQL reads anew what it locks, so nothing here is older than the lock of the site. What was not there when
    the statement began is not found, be it the row or the membership.
    """
    found = sa.select(model, *standing(OWN)).join(OWN, _is_own(model)).where(model.id == KEY)
    if model is not Site:
        found = found.join(Site, Site.id == model.site_id)
    # They are locked in this order: the site has to be first, as it is everywhere, or two would wait in a circle.
    return prepare(found.with_for_update(key_share=True, of=[Site, model, OWN]))


def _is_own(model: type[Row]) -> sa.ColumnElement[bool]:
    user_id = sa.bindparam("user_id", type_=sa.Uuid)
    return sa.and_(OWN.site_id == model.site_id, OWN.user_id == user_id, OWN.active)


@dataclass
class Transaction:
    """The writes of one mutation. All writes to a site take turns, by the lock on its row."""

    session: Session
    actor: Actor
    language: Language
    asked: bool = False
    private_webhooks: bool = False
    only_site_id: UUID | None = None
    """When set, that site is locked already, and nothing of others is found."""
    events: list[HistoryEvent] = field(default_factory=list)
    """What was written into the history so far, in its order."""
    uses: frozenset[Use] = frozenset()
    """The privileges by which the caller was allowed what is done."""

    async def fetch(self, model: type[Row], id: str, action: Action, *path: str | int) -> Row:
        """Lock and return a row that the caller may do `action` with; `path` is where the id was given.

        Raises WRONG_ID_KIND, NOT_FOUND for what the caller may not see, and FORBIDDEN with the rule in words.
        """
        row = await self._with_standing(model, key_in(id, model, *path))
        if row is None or not allows(self.actor, SEEING[model], row):
            raise refuse(Code.NOT_FOUND, *path)
        self.require(action, row, *path)
        return row

    async def _with_standing(self, model: type[Row], key: UUID) -> Row | None:
        """The locked row, and the caller's rights at its site as earlier writers left them."""
        found = await self._locked(model, {"key": key, "user_id": self.actor.user_id})
        if found is None or self.only_site_id not in (None, found[0].site_id):
            return None
        row, role, *levels = found
        standings = {row.site_id: Standing(role, *levels)} if role else {}
        self.actor = replace(self.actor, standings=MappingProxyType(standings))
        return row

    async def _locked(self, model: type[Row], given: Mapping[str, Any]) -> Any:
        """The row and the values of the standing, as they are while nobody else writes to the site."""
        if self.only_site_id is None:
            found = await self.session.one_or_none(_of_member(model), given)
            if found is not None:
                return found
            await self.session.execute(_lock_site_of(model), given)
        return await self.session.one_or_none(_of_anybody(model), given)

    async def lock_site(self, site_id: UUID | None) -> None:
        """Wait for other writers of the site, and see the caller's rights as they left them."""
        if site_id is None or self.actor.user_id is None:
            return
        await self.session.execute(_lock_site_of(Site), {"key": site_id})
        standings = await standings_of(self.session, self.actor.user_id, site_id)
        self.actor = replace(self.actor, standings=standings)

    async def check_all(self) -> None:
        """Write what is not written yet, and have everything checked that is else checked at the end."""
        await self.session.flush()
        await self.session.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")

    async def row(self, sql: str, values: Sequence[Any]) -> Any:
        """The first row of a compiled statement, as it is within the transaction."""
        return await self.session.connection.fetchrow(sql, *values)

    def require(self, action: Action, row: Any, *path: str | int) -> None:
        """Ask the policy. Raises FORBIDDEN with the rule in words, in the caller's language."""
        self.asked = True
        if not allows(self.actor, action, row):
            reason = denial(self.actor, action, row, lambda text: translate(text, self.language))
            raise refuse(Code.FORBIDDEN, *path, reason=reason)
        privilege = privilege_used(self.actor, action, row)
        if privilege and self.actor.user_id:
            self.uses |= {Use(row.site_id, self.actor.user_id, privilege)}

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """A part of the transaction that leaves nothing behind when it fails."""
        uses, events = self.uses, len(self.events)
        try:
            async with self.session.begin_nested():
                yield
        except BaseException:
            self.uses = uses
            del self.events[events:]
            raise

    def record(self, event: Event, row: Any, **details: Any) -> None:
        """Add the event of this change to the history (see `history.record`)."""
        self.events.append(history.record(self.session, self.actor, event, row, **details))
