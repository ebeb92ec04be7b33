"""The caller as part of a statement: who they are and what they are at which site, on the same snapshot as the rest."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from app.actor import STANDINGS, Standing
from app.db.models import Membership, User
from app.db.pool import compiled_once
from app.policy import standing
from app.query.plan import Run

CALLER = "caller"
SITES = ARRAY(sa.Uuid)


@dataclass
class CallerColumns:
    """Stands in for the caller, in the policy's conditions, while a statement is compiled.

    Each test of the policy becomes a column of `caller`: the sites at which the caller passes it.
    """

    tests: dict[tuple[Standing, ...], sa.Label[Any]] = field(default_factory=dict)
    is_spoken_to: bool = False

    @property
    def user_id(self) -> Any:
        """The caller's key, wherever the policy or a filter speaks of the caller."""
        return _of_caller("id", sa.Uuid)

    @property
    def language(self) -> Any:
        """The language in which the caller is told something."""
        self.is_spoken_to = True
        return _of_caller("language", User.language.type)

    def sites_where(self, holds: Callable[[Standing], bool]) -> Any:
        """The sites at which the caller's standing passes a test."""
        passing = tuple(filter(holds, STANDINGS))
        if passing not in self.tests:
            self.tests[passing] = _sites(passing).label(f"sites{len(self.tests)}")
        return _of_caller(self.tests[passing].name, SITES)

    def cte(self, parameter: Callable[[Any, Callable[[Run], Any]], Any]) -> sa.CTE:
        """One row about the caller; none when nobody has signed in with this identity."""
        issuer = parameter(sa.Text, lambda run: run.identity.issuer)
        subject = parameter(sa.Text, lambda run: run.identity.subject)
        columns = list(self.tests.values())
        if self.is_spoken_to:
            wished = parameter(User.language.type, lambda run: run.wished)
            columns.append(sa.func.coalesce(wished, User.language).label("language"))
        statement = (
            sa.select(User.id, *columns)
            .outerjoin_from(User, Membership, sa.and_(Membership.user_id == User.id, Membership.active))
            .where(User.issuer == issuer, User.subject == subject)
            .group_by(User.id)
        )
        return statement.cte(CALLER).prefix_with("MATERIALIZED")


@cache
def _sites(passing: tuple[Standing, ...]) -> Any:
    found = sa.func.array_agg(Membership.site_id, type_=SITES)
    standings = [sa.tuple_(*(sa.literal(value.name) for value in vars(one).values())) for one in passing]
    told = sa.tuple_(*(sa.cast(column, sa.Text) for column in standing()))
    return compiled_once(
        sa.func.coalesce(found.filter(told.in_(standings)), sa.cast(sa.literal("{}"), SITES))
    )


@cache
def _of_caller(name: str, kind: Any) -> Any:
    """A column of the one row that the statement is about, within reach of all its subqueries."""
    return compiled_once(sa.table(CALLER, sa.column(name, kind)).c[name])
