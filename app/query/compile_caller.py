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

CALLER = "caller"
SITES = ARRAY(sa.Uuid)


@dataclass
class CallerColumns:
    """Stands in for the caller, in the policy's conditions, while a statement is compiled.

    Each test of the policy becomes a column of `caller`: the sites at which the caller passes it. `tests` are these
    columns, each with the standings that pass.
    """

    tests: dict[str, tuple[Standing, ...]] = field(default_factory=dict)
    needs_language: bool = False

    @property
    def user_id(self) -> Any:
        """The caller's key, wherever the policy or a filter speaks of the caller."""
        return _of_caller("id", sa.Uuid)

    @property
    def language(self) -> Any:
        """The language in which the caller is told something."""
        self.needs_language = True
        return _of_caller("language", User.language.type)

    def sites_where(self, holds: Callable[[Standing], bool]) -> Any:
        """The sites at which the caller's standing passes a test.

        The column is named by which standings pass, so that tests that the same pass share one.
        """
        name = "sites" + "".join(str(int(holds(one))) for one in STANDINGS)
        self.tests[name] = tuple(filter(holds, STANDINGS))
        return _of_caller(name, SITES)

    def add(self, other: "CallerColumns") -> None:
        """Know of the caller what another part of the statement asks."""
        self.tests |= other.tests
        self.needs_language |= other.needs_language


def sites_of(passing: tuple[Standing, ...]) -> Any:
    """The sites of somebody's memberships that make them one of these."""
    found = sa.func.array_agg(Membership.site_id, type_=SITES)
    told = sa.func.concat_ws(" ", *standing(), type_=sa.Text)
    names = (" ".join(value.name for value in vars(one).values()) for one in passing)
    return sa.func.coalesce(found.filter(told.in_(list(names))), sa.cast(sa.literal("{}"), SITES))


@cache
def _of_caller(name: str, kind: Any) -> Any:
    """A column of the one row that the statement is about, within reach of all its subqueries."""
    return compiled_once(sa.table(CALLER, sa.column(name, kind)).c[name])
