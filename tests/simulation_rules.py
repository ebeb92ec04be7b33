"""Acts of the simulation about the rules of a site, and about many things at once; and the simulation with all acts."""

from random import Random
from typing import Any

from app.db.models import AccessRequest, Membership
from app.db.site_rules import BlockedRequester, Naming, PrivilegeTemplate
from app.query.ids import write_id
from app.site_rules import NamingState
from tests.simulation import ACTS, REASONS, ROLES, WHY, Act, Rows, Simulation, any_request, of
from tests.simulation_others import OTHER_ACTS
from tests.world import World


async def set_rules(it: Simulation, rows: Rows) -> list[str] | None:
    place = it.dice.choice(it.places)
    rules: dict[str, Any] = {
        "grantAtMostWhatYouHold": it.dice.random() < 0.5,
        "secondPersonConfirms": it.dice.random() < 0.6,
        "pendingRequestDays": it.dice.choice([None, 5, 20]),
    }
    some = {name: rules[name] for name in it.dice.sample(list(rules), it.dice.randint(1, 3))}
    return await it.do("updateSiteRules", who=it.primary(rows, place.site_id), siteId=place.id, **some)


async def block(it: Simulation, rows: Rows) -> list[str] | None:
    place, person = it.dice.choice(it.places), it.dice.choice(it.people)
    return await it.do(
        "blockRequester", who=it.primary(rows, place.site_id), siteId=place.id, ibmId=person.ibm_id.upper()
    )


async def unblock(it: Simulation, rows: Rows) -> list[str] | None:
    row = it.one(rows[BlockedRequester])
    who = row and it.primary(rows, row.site_id)
    return await it.do("unblockRequester", row, who=who, blockedRequesterId=of(row, "blocked_requester"))


async def create_template(it: Simulation, rows: Rows) -> list[str] | None:
    place, name = it.dice.choice(it.places), f"Template {it.dice.randint(1, 9)}"
    form = {"siteId": place.id, "name": name, "privileges": it.levels()}
    return await it.do("createPrivilegeTemplate", who=it.primary(rows, place.site_id), **form)


def change_template(mutation: str, **change: Any) -> Act:
    """Somebody changes a template, or deletes it."""

    async def act(it: Simulation, rows: Rows) -> list[str] | None:
        row = it.one(rows[PrivilegeTemplate])
        who, id = row and it.primary(rows, row.site_id), of(row, "privilege_template")
        given = {name: it.levels() for name in change}
        return await it.do(mutation, row, who=who, privilegeTemplateId=id, **given)

    return act


def end_naming(mutation: str) -> Act:
    """Somebody who may, as far as that is known, ends a naming; mostly one that waits."""

    async def act(it: Simulation, rows: Rows) -> list[str] | None:
        waiting = [row for row in rows[Naming] if row.state is NamingState.PENDING]
        row = it.one(waiting if it.dice.random() < 0.9 else rows[Naming])
        others = row and it.deciders(rows, row.site_id, row.proposed_by_id)
        return await it.do(mutation, row, who=others and it.one(others), namingId=of(row, "naming"))

    return act


def bulk(mutation: str, item: Any, most: int = 4) -> Act:
    """Several items of a site, mostly; now and then the same twice, or one of elsewhere."""

    async def act(it: Simulation, rows: Rows) -> list[str] | None:
        place = it.dice.choice(it.places)
        items = [item(it, rows, place) for _ in range(it.dice.randint(1, most))]
        policy = it.dice.choice(["ALL_OR_NOTHING", "GOOD_ONES", "GOOD_ONES"])
        who = it.dice.choice(it.deciders(rows, place.site_id))
        form = {"siteId": place.id, "items": [one for one in items if one], "errorPolicy": policy}
        return await it.do(mutation, who=who, **form)

    return act


def _here(it: Simulation, rows: list[Any], place: Any) -> Any:
    here = [row for row in rows if row.site_id == place.site_id]
    return it.one(here if it.dice.random() < 0.95 else rows)


def _person(it: Simulation, rows: Rows, place: Any) -> dict[str, Any]:
    ibm_id = it.dice.choice(it.people).ibm_id
    named = {"ibmId": ibm_id, "email": ibm_id, "confirmed": True, "role": it.dice.choice(ROLES)}
    return named | {"privileges": it.levels()} | it.template(rows, place.site_id) | it.end() | WHY


def _change(it: Simulation, rows: Rows, place: Any) -> dict[str, Any] | None:
    row = _here(it, rows[Membership], place)
    change = {"role": it.dice.choice([None, *ROLES]), "privileges": it.levels(), **it.end()}
    return row and {"membershipId": write_id("membership", row.id), **change}


def _removal(it: Simulation, rows: Rows, place: Any) -> dict[str, Any] | None:
    row = _here(it, rows[Membership], place)
    return row and {"membershipId": write_id("membership", row.id)}


def _pending(it: Simulation, rows: Rows, place: Any) -> str | None:
    here = [row for row in rows[AccessRequest] if row.site_id == place.site_id]
    return of(any_request(it, {AccessRequest: here}), "access_request")


def _grant(it: Simulation, rows: Rows, place: Any) -> dict[str, Any] | None:
    id = _pending(it, rows, place)
    given = {"role": it.dice.choice([None, *ROLES]), **it.template(rows, place.site_id), **it.end()}
    return {"accessRequestId": id, **given} if id else None


def _denial(it: Simulation, rows: Rows, place: Any) -> dict[str, Any] | None:
    id = _pending(it, rows, place)
    return {"accessRequestId": id, "reason": it.dice.choice(REASONS)} if id else None


ACTS_OF_RULES: list[tuple[str, Act]] = [
    ("updateSiteRules", set_rules),
    ("blockRequester", block),
    ("unblockRequester", unblock),
    ("createPrivilegeTemplate", create_template),
    ("updatePrivilegeTemplate", change_template("updatePrivilegeTemplate", privileges=True)),
    ("deletePrivilegeTemplate", change_template("deletePrivilegeTemplate")),
    *[("confirmNaming", end_naming("confirmNaming"))] * 6,
    *[("rejectNaming", end_naming("rejectNaming"))] * 2,
    ("addUsers", bulk("addUsers", _person)),
    ("updateMemberships", bulk("updateMemberships", _change)),
    ("removeMemberships", bulk("removeMemberships", _removal, most=2)),
    ("grantAccessRequests", bulk("grantAccessRequests", _grant)),
    ("denyAccessRequests", bulk("denyAccessRequests", _denial)),
]
"""What people do beyond the acts of `simulation.ACTS`."""


async def simulate(world: World, seed: int, rounds: int, sites: int = 3, people: int = 8) -> Simulation:
    """Play some rounds, and go on (not for ever) until every act has succeeded once. Fails with what is wrong."""
    acts = [*ACTS, *ACTS_OF_RULES, *OTHER_ACTS]
    simulation = Simulation(world, Random(seed), acts=acts)
    await simulation.begin(sites, people)
    for number in range(20 * rounds):
        missing = [act for act in acts if act[0] in simulation.never_done] if number >= rounds else acts
        if not missing:
            break
        # From then on, half of what people do is what nobody has managed yet.
        simulation.acts = [*acts, *missing * (len(acts) // len(missing))]
        await simulation.round()
    return simulation
