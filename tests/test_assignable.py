"""Which roles and levels the caller may give here and now, and who decides."""

from itertools import product
from typing import Any

import pytest

from app.actor import STANDINGS
from app.db.deciders import Decider
from app.rules import PRIVILEGES, AccessRequestState, Role
from tests.access import MANAGERS, form, full_site, newcomer
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


@pytest.mark.parametrize("who", OTHERS)
async def test_others_may_give_nothing(world: World, who: str) -> None:
    place = await world.site()
    person = await world.caller(place, who)
    site = await assignable(person, place)
    assert (site["assignableRoles"], site["assignableLevels"]) == ([], [])
    assert {tuple(one["assignableRoles"]) for one in site["memberships"]["nodes"]} == {()}


async def test_the_levels_are_those_that_a_mutation_takes_and_no_others(world: World) -> None:
    place = await world.site()
    found = {
        (one["role"], application["field"], level["level"])
        for one in (await assignable(place.primary, place))["assignableLevels"]
        for application in one["applications"]
        for level in application["levels"]
    }
    for role, privilege in product(BOTH, PRIVILEGES.values()):
        for level in privilege.levels:
            _, membership_id = await world.member(place)
            payload = await place.primary.do(
                "updateMembership",
                membershipId=membership_id,
                role=role,
                privileges=nested(privilege.path, level.name),
            )
            taken = not payload["errors"]
            assert taken is ((role, ".".join(privilege.path), level.name) in found)
            await place.primary.succeed("removeMembership", membershipId=membership_id)
    # Everything but what is above NONE of the two that are for secondary contacts only.
    assert len(found) == 2 * sum(len(p.levels) for p in PRIVILEGES.values()) - 4


def nested(path: tuple[str, ...], level: str) -> dict[str, Any]:
    head, *rest = path
    return {head: nested(tuple(rest), level) if rest else level}


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
