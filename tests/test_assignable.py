"""Which roles and levels the caller may give here and now, and who decides."""

from itertools import product
from typing import Any

import pytest
import sqlalchemy as sa
from httpx2 import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from app.actor import STANDINGS
from app.db.deciders import Decider
from app.db.models import Membership
from app.query.engine import Engine
from app.query.ids import parse_id
from app.rules import (
    PRIVILEGES,
    AccessRequestKind,
    AccessRequestState,
    PurchaseAndDownloadLevel,
    Role,
    ViewLevel,
)
from app.site_rules import NamingKind
from tests.access import MANAGERS, form, full_site, newcomer
from tests.site_rules import naming_row, site_with
from tests.test_engine import both
from tests.test_engine import interpreted as interpreted
from tests.world import UPDATE, VIEW, Person, Place, World, ago

OTHERS = ["manage_access=VIEW", "manage_access=NONE", "contact_updates=UPDATE", "user"]
BOTH = ["SECONDARY_CONTACT", "USER"]
ASSIGNABLE = """query($id: ID!, $in: Language) { site(id: $id) { assignableRoles
  assignableLevels { role applications { field levels { level label(language: $in) } } }
  memberships { nodes { id role assignableRoles } } } }"""
DECIDERS = """query($id: ID!) { site(id: $id) { deciders { name role membership { user { ibmId } } } } }"""


async def assignable(person: Person, place: Place, **variables: Any) -> dict[str, Any]:
    site: dict[str, Any] = (await person.ask(ASSIGNABLE, id=place.id, **variables))["site"]
    return site


@pytest.mark.parametrize("who", MANAGERS)
async def test_managers_may_give_both_roles_while_there_is_a_seat(world: World, who: str) -> None:
    place = await world.site()
    manager = await world.caller(place, who)
    _, secondary_id = await world.secondary(place)
    _, user_id = await world.member(place)
    site = await assignable(manager, place)
    assert site["assignableRoles"] == BOTH
    roles = {member["id"]: member["assignableRoles"] for member in site["memberships"]["nodes"]}
    # The primary contact's role and one's own cannot be given by anybody.
    assert (roles.pop(secondary_id), roles.pop(user_id)) == (BOTH, BOTH)
    assert list(roles.values()) == [[]] * len(roles)
    for role in site["assignableRoles"]:
        await manager.succeed("addUser", **form(place, newcomer(), role=role))
        await manager.succeed("updateMembership", membershipId=user_id, role=role)


async def test_without_a_seat_only_those_who_have_one_may_be_secondary_contacts(world: World) -> None:
    place = await full_site(world, ends_at=ago(days=1))
    _, user_id = await world.member(place)
    site = await assignable(place.primary, place)
    assert site["assignableRoles"] == ["USER"]
    assert [one["role"] for one in site["assignableLevels"]] == ["USER"]
    expected = {"PRIMARY_CONTACT": [], "SECONDARY_CONTACT": BOTH, "USER": ["USER"]}
    assert all(one["assignableRoles"] == expected[one["role"]] for one in site["memberships"]["nodes"])
    assert len(site["memberships"]["nodes"]) == 6
    refusal = [("SECONDARY_CONTACT_LIMIT", "role")]
    wanted = {"role": "SECONDARY_CONTACT"}
    assert await place.primary.refused("addUser", **form(place, newcomer(), **wanted)) == refusal
    assert await place.primary.refused("updateMembership", membershipId=user_id, **wanted) == refusal


async def test_where_a_second_person_confirms_there_has_to_be_one(world: World) -> None:
    place = await site_with(world, second_person_confirms=True)
    named = [
        (await world.secondary(place))[1],
        (await world.secondary(place, ends_at=ago(days=1)))[1],
        (await world.member(place))[1],
    ]
    assert await roles_taken(place, named) == [["USER"], BOTH, ["USER"], ["USER"]]
    second, _ = await world.secondary(place, manage_access=UPDATE)
    assert await roles_taken(place, named) == [BOTH] * 4
    [user] = await world.rows(Membership, Membership.id == (parse_id(named[-1]) or ("", None))[1])
    waiting = naming_row(place, Person(world, "", user.user_id), second, kind=NamingKind.UPDATE)
    await world.add(waiting)
    assert await roles_taken(place, named) == [BOTH, BOTH, BOTH, ["USER"]]


async def test_a_naming_by_a_request_that_has_run_out_makes_room(world: World) -> None:
    place = await site_with(world, second_person_confirms=True)
    await world.secondary(place, manage_access=UPDATE)
    member, membership_id = await world.member(place)
    late = {"kind": AccessRequestKind.HIGHER_LEVEL, "requested_role": Role.SECONDARY_CONTACT}
    _, request_id = await world.request(place, member, expires_at=ago(minutes=1), **late)
    _, key = parse_id(request_id) or ("", None)
    await world.add(naming_row(place, member, kind=NamingKind.GRANT, access_request_id=key))
    assert await roles_taken(place, [membership_id]) == [BOTH, BOTH]


async def roles_taken(place: Place, membership_ids: list[str]) -> list[list[str]]:
    """The roles that the primary contact may give a new member and these members, proven by mutations."""
    site = await assignable(place.primary, place)
    found = {member["id"]: member["assignableRoles"] for member in site["memberships"]["nodes"]}
    assert [one["role"] for one in site["assignableLevels"]] == site["assignableRoles"]
    told = [site["assignableRoles"], *(found[id] for id in membership_ids)]
    for roles, id in zip(told, [None, *membership_ids], strict=True):
        changes = {"membershipId": id, "endsAt": None}
        mutation, input = ("updateMembership", changes) if id else ("addUser", form(place, newcomer()))
        for role in BOTH:
            payload = await place.primary.do(mutation, **input | {"role": role, "validateOnly": True})
            assert (not payload["errors"]) is (role in roles), payload
    return told


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("who", OTHERS)
async def test_others_may_give_nothing(world: World, who: str, strict: bool) -> None:
    place = await site_with(world, grant_at_most_held=strict)
    person = await world.caller(place, who)
    site = await assignable(person, place)
    assert (site["assignableRoles"], site["assignableLevels"]) == ([], [])
    assert {tuple(one["assignableRoles"]) for one in site["memberships"]["nodes"]} == {()}


ALL = {name: privilege.highest for name, privilege in PRIVILEGES.items()}
SOME = {
    "purchase_and_download": PurchaseAndDownloadLevel.SOFTWARE_DOWNLOAD_AND_MEDIA_ACCESS,
    "entitlement_inventory": UPDATE,
    "entitlement_allocations": VIEW,
    "contact_updates": VIEW,
    "account_documents": ViewLevel.VIEW,
}


@pytest.mark.parametrize(
    ("own", "strict", "expected"),
    [
        # Everything but what is above NONE of the two that are for secondary contacts only.
        (None, False, 2 * sum(len(privilege.levels) for privilege in PRIVILEGES.values()) - 4),
        (None, True, 36),
        (ALL, True, 36),
        ({}, False, 36),
        # Of a secondary contact's seven applications, NONE of each, and manage access up to UPDATE.
        ({}, True, (7 + 2) + 7),
        (SOME, True, (7 + 2 + 7) + (7 + 6)),
    ],
)
async def test_the_levels_are_those_that_mutations_take_and_no_others(
    world: World, own: dict[str, Any] | None, strict: bool, expected: int
) -> None:
    place = await site_with(world, grant_at_most_held=strict)
    manager = place.primary
    if own is not None:
        manager, _ = await world.secondary(place, **{"manage_access": UPDATE, **own})
    found = levels(await assignable(manager, place))
    assert len(found) == expected
    forms = await forms_of_nobodies(world, place)
    places = range(max(len(privilege.levels) for privilege in PRIVILEGES.values()))
    for (mutation, about), role, rank in product(forms.items(), BOTH, places):
        at_rank = {p.path: list(p.levels)[rank].name for p in PRIVILEGES.values() if len(p.levels) > rank}
        given = {path: level for path, level in at_rank.items() if (role, ".".join(path), level) in found}
        asked = {**about, "role": role, "validateOnly": True}
        await manager.succeed(mutation, **asked, privileges=nested(given))
        refused = at_rank.keys() - given.keys()
        if refused:
            others = {path: at_rank[path] for path in refused}
            faults = await manager.refused(mutation, **asked, privileges=nested(others))
            assert {path for _, path in faults} == {".".join(("privileges", *path)) for path in refused}


def levels(site: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Role, application and level of everything that can be given."""
    return {
        (one["role"], application["field"], level["level"])
        for one in site["assignableLevels"]
        for application in one["applications"]
        for level in application["levels"]
    }


async def forms_of_nobodies(world: World, place: Place) -> dict[str, dict[str, Any]]:
    """What gives role and levels to somebody who holds nothing yet."""
    _, membership_id = await world.member(place)
    _, request_id = await world.request(place)
    return {
        "addUser": form(place, newcomer()),
        "updateMembership": {"membershipId": membership_id},
        "grantAccessRequest": {"accessRequestId": request_id},
    }


def nested(levels: dict[tuple[str, ...], str]) -> dict[str, Any]:
    """Levels as an input has them."""
    privileges: dict[str, Any] = {}
    for (*groups, name), level in levels.items():
        inner = privileges
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[name] = level
    return privileges


async def test_whoever_holds_more_may_keep_it_or_be_set_to_less_of_it(world: World) -> None:
    place = await site_with(world, grant_at_most_held=True)
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    _, membership_id = await world.member(place, entitlement_inventory=UPDATE)
    found = levels(await assignable(manager, place))
    assert not found & {("USER", "entitlementInventory", level) for level in ("UPDATE", "VIEW")}
    for level in ("UPDATE", "VIEW"):
        privileges = {"entitlementInventory": level}
        await manager.succeed("updateMembership", membershipId=membership_id, privileges=privileges)
    above = {"membershipId": membership_id, "privileges": {"entitlementInventory": "UPDATE"}}
    assert await manager.refused("updateMembership", **above) == [
        ("LEVEL_ABOVE_YOURS", "privileges.entitlementInventory")
    ]


async def test_levels_are_those_of_this_moment(world: World) -> None:
    place = await site_with(world, grant_at_most_held=True)
    manager, membership_id = await world.secondary(place, manage_access=UPDATE, reporting=ViewLevel.VIEW)
    reporting = ("USER", "reporting", "VIEW")
    assert reporting in levels(await assignable(manager, place))
    less = {"membershipId": membership_id, "privileges": {"reporting": "NONE"}}
    await place.primary.succeed("updateMembership", **less)
    assert reporting not in levels(await assignable(manager, place))
    selection = "site { assignableLevels { role applications { field levels { level } } } }"
    rules = {"siteId": place.id, "grantAtMostWhatYouHold": False}
    payload = await place.primary.succeed("updateSiteRules", selection, **rules)
    assert levels(payload["site"]) == levels(await assignable(manager, place))
    async with AsyncSession(world.database) as session, session.begin():
        await session.execute(
            sa.update(Membership).where(Membership.user_id == manager.user_id).values(ends_at=ago(seconds=1))
        )
    assert (await manager.ask(ASSIGNABLE, id=place.id))["site"] is None


@pytest.mark.parametrize("who", [*MANAGERS, *OTHERS, "ended"])
async def test_levels_are_the_same_both_ways(
    world: World, interpreted: AsyncClient, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unplanned: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: unplanned.append(reason))
    places = [await site_with(world, grant_at_most_held=strict) for strict in (True, False)]
    person = await world.caller(places[0], who)
    await world.member(places[1], Role.SECONDARY_CONTACT, person, manage_access=UPDATE)
    sites = " ".join(
        f'''s{index}: site(id: "{place.id}") {{ all: assignableLevels {{ role applications {{ label heldBy
          de: levels {{ l: level label }} levels {{ __typename fr: label(language: FR) }} }} }}
          assignableLevels {{ __typename r: role applications {{ field }} }} few: assignableRoles }}'''
        for index, place in enumerate(places)
    )
    compiled, told = await both(person, interpreted, f"{{ {sites} }}", {})
    assert compiled == told
    assert b"errors" not in compiled
    assert unplanned == []


async def test_labels_come_in_the_language_of_the_argument_or_of_the_request(world: World) -> None:
    place = await world.site()

    async def label(header: str | None, language: str | None) -> str:
        data = await place.primary.ask(ASSIGNABLE, header, id=place.id, **{"in": language})
        levels = data["site"]["assignableLevels"][0]["applications"][0]["levels"]
        text: str = levels[0]["label"]
        return text

    wishes = [("fr", "EN"), ("en", "FR"), ("fr", None), (None, "FR"), (None, None), ("fr", "EN")]
    labels = [await label(*wish) for wish in wishes]
    assert labels == ["None", "Aucun", "Aucun", "Aucun", "None", "None"]


# Deciders


@pytest.mark.parametrize("who", ["primary", *MANAGERS[1:], *OTHERS])
async def test_every_member_is_told_who_decides(world: World, who: str) -> None:
    place = await world.site()
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    await world.secondary(place, manage_access=VIEW)
    await world.secondary(place, manage_access=UPDATE, ends_at=ago(seconds=1))
    person = place.primary if who == "primary" else await world.caller(place, who)
    found = (await person.ask(DECIDERS, id=place.id))["site"]["deciders"]
    expected = {place.primary.ibm_id, manager.ibm_id} | ({person.ibm_id} if who in MANAGERS else set())
    assert {one["name"] for one in found} == expected
    assert [one["role"] for one in found] == ["PRIMARY_CONTACT"] + ["SECONDARY_CONTACT"] * (len(found) - 1)
    sees_users = who in (*MANAGERS, "manage_access=VIEW")
    for one in found:
        assert one["membership"] == ({"user": {"ibmId": one["name"]}} if sees_users else None)


@pytest.mark.parametrize("who", ["requester", "granted requester who left", "stranger", "ended"])
async def test_nobody_else_is_told_anything(world: World, who: str) -> None:
    place = await world.site()
    if "requester" in who:
        decided = {"state": AccessRequestState.GRANTED, "granted_role": Role.USER, "closed_at": ago(days=1)}
        values = {**decided, "decided_by_id": place.primary.user_id} if "granted" in who else {}
        person, _ = await world.request(place, **values)
    else:
        person = await world.caller(place, who)
    assert await person.ask(DECIDERS, id=place.id) == {"site": None}
    document = """{ viewer { accessRequests { nodes { decidedBy { id } site { deciders { name } } } } } }"""
    nodes = (await person.ask(document))["viewer"]["accessRequests"]["nodes"]
    assert nodes == ([{"decidedBy": None, "site": None}] if "requester" in who else [])


async def test_deciders_are_those_whom_the_policy_lets_decide(world: World) -> None:
    """The view is written down apart from the table of rules: here they are held together."""
    for standing in STANDINGS:
        if standing.role is Role.PRIMARY_CONTACT:
            continue
        place = await world.site()
        levels = {"manage_access": standing.manage_access, "contact_updates": standing.contact_updates}
        member, _ = await world.member(place, standing.role, **levels)
        _, request_id = await world.request(place)
        assert member.user_id
        deciding = {row.user_id for row in await world.rows(Decider, Decider.site_id == place.site_id)}
        allowed = set()
        for person in (member, place.primary):
            document = "query($id: ID!) { node(id: $id) { ... on AccessRequest { viewerCan { deny { allowed } } } } }"
            node = (await person.ask(document, id=request_id))["node"]
            allowed |= {person.user_id} if node and node["viewerCan"]["deny"]["allowed"] else set()
        assert deciding == allowed
