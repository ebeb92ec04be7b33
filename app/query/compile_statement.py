"""The whole statement: one row about the caller, and what is read for them."""

from functools import cache

import sqlalchemy as sa

from app.actor import Standing
from app.db.models import Membership, User
from app.query.compile_caller import CALLER, sites_of
from app.query.template import Draft, Template, hole


@cache
def whole() -> Template:
    """What the statement reads goes into `columns`, what it asks of the caller into `known`; `joins` come last.

    There is no row when nobody has signed in with this identity.
    """
    draft = Draft()
    issuer = draft.parameter(sa.Text, lambda run, _: run.identity.issuer)
    subject = draft.parameter(sa.Text, lambda run, _: run.identity.subject)
    caller = (
        sa.select(hole("known"))
        .select_from(User)
        .outerjoin(Membership, sa.and_(Membership.user_id == User.id, Membership.active))
        .where(User.issuer == issuer, User.subject == subject)
        .group_by(User.id)
        .cte(CALLER)
        .prefix_with("MATERIALIZED")
    )
    return draft.statement(sa.select(hole("columns")).select_from(caller).suffix_with(hole("joins")))


@cache
def key() -> Template:
    """The caller's key."""
    return Draft().expression(User.id)


@cache
def sites(passing: tuple[Standing, ...]) -> Template:
    """The sites at which the caller passes a test of the policy."""
    return Draft().expression(sites_of(passing))


@cache
def language() -> Template:
    """The language in which the caller is told something: that of the request, where it names one."""
    draft = Draft()
    wished = draft.parameter(User.language.type, lambda run, _: run.wished)
    return draft.expression(sa.func.coalesce(wished, User.language))
