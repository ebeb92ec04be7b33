"""What a site is told of privileges that nobody uses: when, which, and who is told."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Membership
from app.db.privilege_uses import PrivilegeUse
from app.query.engine import Engine
from app.query.ids import parse_id
from app.rules import DAYS_UNUSED, PRIVILEGES, Level, PrivilegeName, Role, UpdateLevel, ViewLevel
from tests.test_engine import both
from tests.test_engine import interpreted as interpreted
from tests.test_reads import statements
from tests.world import UPDATE, VIEW, Person, Place, World, ago

LONG = DAYS_UNUSED + 1
ASK = """query($id: ID!, $first: Int, $after: String) { site(id: $id) {
  recommendations { __typename code message action
    ... on UnusedPrivilegesRecommendation { memberships(first: $first, after: $after) {
      totalCount nodes { id unusedPrivileges user { name } } pageInfo { hasNextPage endCursor } } } }
  memberships(orderBy: {field: CREATED_AT}) { nodes { id unusedPrivileges } }
  viewerMembership { id unusedPrivileges } } }"""
ALL: dict[str, Level] = {name: privilege.highest for name, privilege in PRIVILEGES.items()}


async def told(person: Person, place: Place, **page: Any) -> dict[str, Any] | None:
    """The recommendation, if the person is shown it."""
    found = (await person.ask(ASK, id=place.id, **page))["site"]["recommendations"]
    return next((one for one in found if one["code"] == "UNUSED_PRIVILEGES"), None)


async def unused(person: Person, place: Place) -> dict[str, list[str]]:
    """What is listed with the recommendation, by membership; nothing when there is none."""
    found = await told(person, place)
    if found is None:
        return {}
    assert found["memberships"]["totalCount"] == len(found["memberships"]["nodes"]) > 0
    return {one["id"]: one["unusedPrivileges"] for one in found["memberships"]["nodes"]}


async def holder(
    world: World, place: Place, role: Role = Role.SECONDARY_CONTACT, days: float = LONG, **values: Any
) -> tuple[Person, str]:
    """Somebody whose levels are as old as that."""
    return await world.member(place, role, levels_changed_at=ago(days=days), **values)


async def use(world: World, place: Place, person: Person, names: Iterable[str], days: int) -> None:
    """Let somebody have used privileges so many days ago."""
    day = datetime.now(UTC).date() - timedelta(days=days)
    at = {"site_id": place.site_id, "user_id": person.user_id, "last_used_on": day}
    await world.add(*(PrivilegeUse(privilege=PrivilegeName(name), **at) for name in names))


async def test_every_level_that_is_not_used_is_listed_in_the_order_of_the_catalogue(world: World) -> None:
    place = await world.site()
    person, id = await holder(world, place, **ALL)
    names = [PrivilegeName(name).name for name in PRIVILEGES]
    assert await unused(place.primary, place) == {id: names}
    await use(world, place, person, ["reporting", "manage_access"], days=1)
    left = [name for name in names if name not in ("REPORTING", "MANAGE_ACCESS")]
    assert await unused(place.primary, place) == {id: left}
    await use(world, place, person, set(PRIVILEGES) - {"reporting", "manage_access"}, days=1)
    assert await unused(place.primary, place) == {}


async def test_nothing_is_told_before_the_time_is_over(world: World) -> None:
    place = await world.site()
    await holder(world, place, days=DAYS_UNUSED - 0.01, **ALL)
    await world.secondary(place, **ALL)
    assert await unused(place.primary, place) == {}
    lately, _ = await holder(world, place, reporting=ViewLevel.VIEW)
    await use(world, place, lately, ["reporting"], days=DAYS_UNUSED - 1)
    assert await unused(place.primary, place) == {}
    once, id = await holder(world, place, reporting=ViewLevel.VIEW)
    await use(world, place, once, ["reporting"], days=DAYS_UNUSED)
    assert await unused(place.primary, place) == {id: ["REPORTING"]}


async def test_who_holds_nothing_or_may_only_look_or_has_no_access_is_not_told_of(world: World) -> None:
    place = await world.site()
    await holder(world, place)
    await holder(world, place, manage_access=VIEW, contact_updates=VIEW)
    await holder(world, place, Role.USER, reporting=ViewLevel.VIEW, ends_at=ago(seconds=1))
    async with AsyncSession(world.database) as session, session.begin():
        of_primary = sa.update(Membership).where(Membership.user_id == place.primary.user_id)
        await session.execute(of_primary.values(levels_changed_at=ago(days=900)))
    nodes = (await place.primary.ask(ASK, id=place.id))["site"]["memberships"]["nodes"]
    assert [one["unusedPrivileges"] for one in nodes] == [[], [], [], []]
    assert await unused(place.primary, place) == {}


@pytest.mark.parametrize("name", ["manage_access", "contact_updates"])
async def test_of_account_management_only_the_right_to_change_is_told(world: World, name: str) -> None:
    place = await world.site()
    _, id = await holder(world, place, **{name: UPDATE})
    await holder(world, place, **{name: UpdateLevel.VIEW})
    assert await unused(place.primary, place) == {id: [name.upper()]}


async def test_a_change_of_levels_or_of_the_role_begins_anew(world: World) -> None:
    place = await world.site()
    _, id = await holder(world, place, reporting=ViewLevel.VIEW, entitlement_inventory=VIEW)
    assert await unused(place.primary, place) == {id: ["REPORTING", "ENTITLEMENT_INVENTORY"]}
    await place.primary.succeed("updateMembership", membershipId=id, justification="Still needed")
    assert set(await unused(place.primary, place)) == {id}
    await place.primary.succeed("updateMembership", membershipId=id, privileges={"reporting": "NONE"})
    assert await unused(place.primary, place) == {}


async def test_uses_at_other_sites_and_by_others_do_not_count(world: World) -> None:
    place, other = await world.site(), await world.site()
    person, id = await holder(world, place, reporting=ViewLevel.VIEW)
    await holder(world, other, person=person, reporting=ViewLevel.VIEW)
    await use(world, other, person, ["reporting"], days=0)
    neighbour, _ = await holder(world, place, reporting=ViewLevel.VIEW)
    await use(world, place, neighbour, ["reporting"], days=0)
    assert await unused(place.primary, place) == {id: ["REPORTING"]}
    assert await unused(other.primary, other) == {}


@pytest.mark.parametrize(
    ("who", "is_told"),
    [
        ("primary", True),
        ("manage_access=UPDATE", True),
        ("manage_access=VIEW", False),
        ("contact_updates=UPDATE", False),
        ("user", False),
    ],
)
async def test_those_are_told_who_manage_access(
    world: World, who: str, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: reasons.append(reason))
    place = await world.site()
    _, id = await holder(world, place, reporting=ViewLevel.VIEW)
    caller = await world.caller(place, who)
    async with world.unchanged():
        assert await unused(caller, place) == ({id: ["REPORTING"]} if is_told else {})
    # The field is for those who see the membership.
    listed = (await caller.ask(ASK, id=place.id))["site"]["memberships"]["nodes"]
    sees_all = who == "primary" or who.startswith("manage_access")
    assert ({"id": id, "unusedPrivileges": ["REPORTING"]} in listed) is sees_all
    assert reasons == []


async def test_a_member_sees_their_own(world: World) -> None:
    place = await world.site()
    person, id = await holder(world, place, Role.USER, reporting=ViewLevel.VIEW)
    site = (await person.ask(ASK, id=place.id))["site"]
    own = {"id": id, "unusedPrivileges": ["REPORTING"]}
    assert (site["viewerMembership"], site["memberships"]["nodes"]) == (own, [own])
    stranger = await world.person()
    assert (await stranger.ask(ASK, id=place.id))["site"] is None


async def test_the_oldest_levels_come_first_page_by_page(world: World) -> None:
    place = await world.site()
    ids = [
        (await holder(world, place, Role.USER, days=LONG + n, reporting=ViewLevel.VIEW))[1] for n in range(5)
    ]
    found: list[str] = []
    after = None
    for _ in range(3):
        page = (await told(place.primary, place, first=2, after=after) or {})["memberships"]
        found += [one["id"] for one in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert (found, page["pageInfo"]["hasNextPage"]) == (ids[::-1], False)


async def test_sentences_are_told_in_the_language_of_the_caller(world: World) -> None:
    place = await world.site()
    await holder(world, place, reporting=ViewLevel.VIEW)
    english, french = [
        [
            one
            for one in (await place.primary.ask(ASK, language, id=place.id))["site"]["recommendations"]
            if one["code"] == "UNUSED_PRIVILEGES"
        ]
        for language in ("en", "fr")
    ]
    assert "have not used for 90 days" in english[0]["message"]
    assert french[0]["message"] == (
        "Une personne dispose sur ce site de privilèges qu’elle n’a pas utilisés depuis 90 jours."
    )
    assert english[0]["action"] != french[0]["action"]


async def test_it_is_the_same_both_ways_and_one_statement_per_relation(
    world: World, interpreted: AsyncClient
) -> None:
    counts = []
    for rows in (1, 4):
        place = await world.site()
        for _ in range(rows):
            person, id = await holder(
                world, place, Role.USER, reporting=ViewLevel.VIEW, entitlement_inventory=VIEW
            )
            await use(world, place, person, ["reporting"], days=3)
        variables = {"id": place.id}
        compiled, read = await both(place.primary, interpreted, ASK, variables)
        assert compiled == read
        assert compiled.count(b'"unusedPrivileges":["ENTITLEMENT_INVENTORY"]') == 2 * rows
        with statements() as seen:
            await both(place.primary, interpreted, ASK, variables)
        counts.append(len(seen))
        by_node = "query($id: ID!) { node(id: $id) { ... on Membership { unusedPrivileges } } }"
        compiled, read = await both(person, interpreted, by_node, {"id": id})
        assert compiled == read
    assert counts[0] == counts[1]


async def test_a_membership_keeps_nothing_of_it_in_the_history(world: World) -> None:
    place = await world.site()
    _, id = await holder(world, place, reporting=ViewLevel.VIEW)
    await place.primary.succeed("updateMembership", membershipId=id, privileges={"reporting": "NONE"})
    event = (await world.events(place))[-1]
    assert parse_id(id) == ("membership", event.subject_id)
    assert "reporting" in event.before and not {"levels_changed_at"} & {*event.before, *event.after}
