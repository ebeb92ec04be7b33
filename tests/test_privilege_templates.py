"""Privilege templates: who keeps them, what they give, and that they are a site's own."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from app.db.models import Membership
from app.db.site_rules import PrivilegeTemplate
from app.query.ids import write_id
from app.rules import Role, UpdateLevel, ViewLevel
from app.site_rules import TEMPLATE_SLOTS
from tests.access import LEVELS, NOTHING, form, newcomer
from tests.site_rules import template, template_row
from tests.world import UPDATE, VIEW, Person, Place, World

TEMPLATE = f"privilegeTemplate {{ id name version privileges {{ {LEVELS} }} }}"
READ = "query($id: ID!) { site(id: $id) { privilegeTemplates { id name privileges { reporting } } } }"
UNSAID = dict.fromkeys(NOTHING) | {
    "accountManagement": {"manageAccess": None, "contactUpdates": None, "accountDocuments": None}
}
MANAGERS = ["primary", "manage_access=UPDATE"]
OTHERS = [
    ("manage_access=VIEW", "FORBIDDEN"),
    ("contact_updates=UPDATE", "FORBIDDEN"),
    ("user", "FORBIDDEN"),
    ("ended", "NOT_FOUND"),
    ("stranger", "NOT_FOUND"),
]


async def templates_of(person: Person, place: Place) -> Any:
    site = (await person.ask(READ, id=place.id))["site"]
    return site and [(one["name"], one["privileges"]["reporting"]) for one in site["privilegeTemplates"]]


@pytest.mark.parametrize("who", MANAGERS)
async def test_templates_are_created_changed_and_deleted(world: World, who: str) -> None:
    place = await world.site()
    person = await world.caller(place, who)
    levels = {"reporting": "VIEW", "accountManagement": {"manageAccess": "VIEW"}}
    made = (await person.succeed(
        "createPrivilegeTemplate", TEMPLATE, siteId=place.id, name="  Relecteur ", privileges=levels
    ))["privilegeTemplate"]  # fmt: skip
    account = UNSAID["accountManagement"] | {"manageAccess": "VIEW"}
    assert made["privileges"] == UNSAID | {"reporting": "VIEW", "accountManagement": account}
    assert (made["name"], made["version"]) == ("Relecteur", 1)
    renamed = {"privilegeTemplateId": made["id"], "name": "Lecteur", "expectedVersion": 1}
    answer = TEMPLATE + " site { privilegeTemplates { name } }"
    answered = await person.succeed("updatePrivilegeTemplate", answer, **renamed)
    changed = answered["privilegeTemplate"]
    assert answered["site"] == {"privilegeTemplates": [{"name": "Lecteur"}]}
    assert (changed["name"], changed["version"], changed["privileges"]) == ("Lecteur", 2, made["privileges"])
    other = {"privilegeTemplateId": made["id"], "privileges": {"entitlementInventory": "UPDATE"}}
    changed = (await person.succeed("updatePrivilegeTemplate", TEMPLATE, **other))["privilegeTemplate"]
    assert changed["privileges"] == UNSAID | {"entitlementInventory": "UPDATE"}
    answer = "deletedPrivilegeTemplateId site { privilegeTemplates { id } }"
    gone = await person.succeed("deletePrivilegeTemplate", answer, privilegeTemplateId=made["id"])
    assert gone["deletedPrivilegeTemplateId"] == made["id"]
    assert gone["site"] == {"privilegeTemplates": []}
    events = await world.events(place)
    assert [(event.event, event.subject_name) for event in events] == [
        ("PRIVILEGE_TEMPLATE_CREATED", "Relecteur"),
        ("PRIVILEGE_TEMPLATE_UPDATED", "Lecteur"),
        ("PRIVILEGE_TEMPLATE_UPDATED", "Lecteur"),
        ("PRIVILEGE_TEMPLATE_DELETED", "Lecteur"),
    ]
    assert {event.actor_id for event in events} == {person.user_id}


async def test_templates_are_listed_by_name_without_case_and_accents(world: World) -> None:
    place = await world.site()
    for slot, name in enumerate(("Zèle", "Lecteur", "école"), 1):
        await template(world, place, slot, name=name)
    names = [name for name, _ in await templates_of(place.primary, place)]
    assert names == ["école", "Lecteur", "Zèle"]


@pytest.mark.parametrize(("who", "code"), OTHERS)
async def test_nobody_else_writes_templates(world: World, who: str, code: str) -> None:
    place = await world.site()
    person, template_id = await world.caller(place, who), await template(world, place)
    created = {"siteId": place.id, "name": "Mine", "privileges": {}}
    assert await person.refused("createPrivilegeTemplate", **created) == [(code, "siteId")]
    hidden = code if who == "manage_access=VIEW" else "NOT_FOUND"
    for mutation in ("updatePrivilegeTemplate", "deletePrivilegeTemplate"):
        refusal = await person.refused(mutation, privilegeTemplateId=template_id)
        assert refusal == [(hidden, "privilegeTemplateId")]


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        *((who, [("a", "VIEW"), ("B", None)]) for who in (*MANAGERS, "manage_access=VIEW")),
        ("contact_updates=UPDATE", []),
        ("user", []),
        ("ended", None),
        ("stranger", None),
    ],
)
async def test_templates_are_seen_by_who_sees_the_users(world: World, who: str, seen: Any) -> None:
    place = await world.site()
    await world.add(template_row(place, name="B", reporting=None), template_row(place, slot=2, name="a"))
    assert await templates_of(await world.caller(place, who), place) == seen


async def test_a_template_is_read_by_its_id(world: World) -> None:
    place = await world.site()
    template_id = await template(world, place)
    document = "query($id: ID!) { node(id: $id) { ... on PrivilegeTemplate { name } } }"
    assert (await place.primary.ask(document, id=template_id))["node"] == {"name": "Template 1"}
    assert (await (await world.person()).ask(document, id=template_id))["node"] is None


@pytest.mark.parametrize("name", ["Lecteur", "LECTEUR", " lecteur "])
async def test_a_name_is_taken_once_in_whatever_case(world: World, name: str) -> None:
    place, elsewhere = await world.site(), await world.site()
    await template(world, place, name="Lecteur")
    other = await template(world, place, slot=2)
    await template(world, elsewhere, name="Other")
    taken = [("TEMPLATE_NAME_TAKEN", "name")]
    created = {"siteId": place.id, "name": name, "privileges": {}}
    assert await place.primary.refused("createPrivilegeTemplate", **created) == taken
    renamed = {"privilegeTemplateId": other, "name": name}
    assert await place.primary.refused("updatePrivilegeTemplate", **renamed) == taken
    await elsewhere.primary.succeed("createPrivilegeTemplate", **created | {"siteId": elsewhere.id})


async def test_its_own_name_in_another_case_is_free(world: World) -> None:
    place = await world.site()
    template_id = await template(world, place, name="Lecteur")
    await place.primary.succeed("updatePrivilegeTemplate", privilegeTemplateId=template_id, name="LECTEUR")


@pytest.mark.parametrize(
    ("name", "code"),
    [("", "REQUIRED"), (" \t", "REQUIRED"), ("x" * 101, "TOO_LONG"), ("a\x00b", "FORBIDDEN_CHARACTERS"),
     ("a\nb", "FORBIDDEN_CHARACTERS"), ("\ud800", "FORBIDDEN_CHARACTERS")],
)  # fmt: skip
async def test_bad_names_are_refused(world: World, name: str, code: str) -> None:
    place = await world.site()
    template_id = await template(world, place)
    created = {"siteId": place.id, "name": name, "privileges": {}}
    assert await place.primary.refused("createPrivilegeTemplate", **created) == [(code, "name")]
    renamed = {"privilegeTemplateId": template_id, "name": name}
    assert await place.primary.refused("updatePrivilegeTemplate", **renamed) == [(code, "name")]


async def test_a_template_that_somebody_else_changed_is_not_overwritten(world: World) -> None:
    place = await world.site()
    template_id = await template(world, place)
    await place.primary.succeed("updatePrivilegeTemplate", privilegeTemplateId=template_id, name="New")
    document = """mutation($input: UpdatePrivilegeTemplateInput!) { updatePrivilegeTemplate(input: $input) { errors {
      code ... on StaleVersionError { currentVersion privilegeTemplate { name } } } } }"""
    stale = {"privilegeTemplateId": template_id, "name": "Other", "expectedVersion": 1}
    async with world.unchanged():
        data = await place.primary.ask(document, input=stale)
    error = {"code": "STALE_VERSION", "currentVersion": 2, "privilegeTemplate": {"name": "New"}}
    assert data["updatePrivilegeTemplate"]["errors"] == [error]


async def test_fifty_templates_and_no_more_however_many_are_made_at_once(world: World) -> None:
    place = await world.site()
    await world.add(*(template_row(place, slot) for slot in range(1, TEMPLATE_SLOTS - 1)))
    payloads = await asyncio.gather(
        *(
            place.primary.do("createPrivilegeTemplate", siteId=place.id, name=uuid4().hex, privileges={})
            for _ in range(6)
        )
    )
    codes = Counter(error["code"] for payload in payloads for error in payload["errors"])
    assert codes == {"TEMPLATE_LIMIT": 4}
    [error] = next(payload["errors"] for payload in payloads if payload["errors"])
    assert (error["limit"], error["current"]) == (TEMPLATE_SLOTS, TEMPLATE_SLOTS)
    assert len(await world.rows(PrivilegeTemplate, PrivilegeTemplate.site_id == place.site_id)) == 50


async def test_one_name_asked_for_many_times_at_once_is_given_once(world: World) -> None:
    place = await world.site()
    acts = (
        place.primary.do("createPrivilegeTemplate", siteId=place.id, name=name, privileges={})
        for name in ("Same", "same", "SAME", "Same")
    )
    payloads = await asyncio.gather(*acts)
    assert sorted(len(payload["errors"]) for payload in payloads) == [0, 1, 1, 1]


# What a template gives


async def levels_of(world: World, place: Place, role: Role = Role.USER) -> Membership:
    [row] = await world.rows(Membership, Membership.site_id == place.site_id, Membership.role == role)
    return row


async def test_a_template_is_the_base_and_what_stands_beside_it_counts_more(world: World) -> None:
    place = await world.site()
    template_id = await template(world, place, entitlement_inventory=UpdateLevel.UPDATE)
    given = {"templateId": template_id, "privileges": {"entitlementInventory": "VIEW"}}
    await place.primary.succeed("addUser", **form(place, newcomer(), **given))
    row = await levels_of(world, place)
    levels = (row.reporting, row.entitlement_inventory, row.entitlement_allocations)
    assert levels == (ViewLevel.VIEW, UpdateLevel.VIEW, UpdateLevel.NONE)


async def test_a_request_is_granted_by_template(world: World) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    template_id = await template(world, place, manage_access=VIEW)
    granted = {"accessRequestId": request_id, "role": "SECONDARY_CONTACT", "templateId": template_id}
    await place.primary.succeed("grantAccessRequest", **granted)
    row = await levels_of(world, place, Role.SECONDARY_CONTACT)
    assert (row.reporting, row.manage_access) == (ViewLevel.VIEW, VIEW)


async def test_an_update_leaves_what_the_template_says_nothing_of(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place, entitlement_allocations=UPDATE)
    template_id = await template(world, place, entitlement_inventory=UpdateLevel.NONE)
    updated = {"membershipId": membership_id, "templateId": template_id}
    await place.primary.succeed("updateMembership", **updated)
    row = await levels_of(world, place)
    assert (row.reporting, row.entitlement_allocations) == (ViewLevel.VIEW, UPDATE)


async def test_changing_or_deleting_a_template_changes_nobody(world: World) -> None:
    place = await world.site()
    template_id = await template(world, place)
    await place.primary.succeed("addUser", **form(place, newcomer(), templateId=template_id))
    levels = {"privilegeTemplateId": template_id, "privileges": {"reporting": "NONE"}}
    await place.primary.succeed("updatePrivilegeTemplate", **levels)
    await place.primary.succeed("deletePrivilegeTemplate", privilegeTemplateId=template_id)
    assert (await levels_of(world, place)).reporting is ViewLevel.VIEW


async def test_account_management_of_a_template_is_not_for_users(world: World) -> None:
    place = await world.site()
    template_id = await template(world, place, manage_access=VIEW)
    _, membership_id = await world.member(place)
    _, request_id = await world.request(place)
    refusal = [("LEVEL_NOT_FOR_ROLE", "privileges.accountManagement.manageAccess")]
    given = {"templateId": template_id}
    assert await place.primary.refused("addUser", **form(place, newcomer(), **given)) == refusal
    assert await place.primary.refused("updateMembership", membershipId=membership_id, **given) == refusal
    granted = {"accessRequestId": request_id, "role": "USER", **given}
    assert await place.primary.refused("grantAccessRequest", **granted) == refusal


async def test_the_template_of_another_site_is_like_none(world: World) -> None:
    place, elsewhere = await world.site(), await world.site()
    await world.member(elsewhere, person=place.primary)
    _, membership_id = await world.member(place)
    _, request_id = await world.request(place)
    foreign, unknown = await template(world, elsewhere), write_id("privilege_template", uuid4())
    wrong = [(id, "NOT_FOUND") for id in (foreign, unknown)]
    wrong += [(id, "WRONG_ID_KIND") for id in (place.id, membership_id, "", "x", "\x00", foreign.upper())]
    for id, code in wrong:
        expected = [(code, "templateId")]
        assert await place.primary.refused("addUser", **form(place, newcomer(), templateId=id)) == expected
        granted = {"accessRequestId": request_id, "role": "USER", "templateId": id}
        assert await place.primary.refused("grantAccessRequest", **granted) == expected
        updated = {"membershipId": membership_id, "templateId": id}
        assert await place.primary.refused("updateMembership", **updated) == expected


async def test_a_dry_run_shows_a_template_and_makes_none(world: World) -> None:
    place = await world.site()
    wanted = {"siteId": place.id, "name": "Tried", "privileges": {"reporting": "VIEW"}}
    async with world.unchanged():
        payload = await place.primary.succeed(
            "createPrivilegeTemplate", TEMPLATE, **wanted, validateOnly=True
        )
    assert payload["privilegeTemplate"]["name"] == "Tried"
