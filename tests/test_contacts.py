"""Contacts: who may see and change them, the one that is primary, and the form as a whole."""

from typing import Any

import pytest

from app.query.ids import write_id
from app.rules import ContactType, UpdateLevel
from tests.world import CONTACT, Person, Place, World

PRIMARY, BILLING, TECHNICAL = ContactType.PRIMARY, ContactType.BILLING, ContactType.SITE_TECHNICAL
DETAILS = "details { phone address city stateOrProvince postalCode country }"
FIELDS = f"id firstName lastName email types {DETAILS}"
KEPT = {
    "firstName": "Camille",
    "lastName": "Durand",
    "email": "camille.durand@example.com",
    "types": ["BILLING"],
    "details": {
        "phone": "+33142685300",
        "address": "12 rue de la Paix",
        "city": "Paris",
        "stateOrProvince": None,
        "postalCode": "75002",
        "country": "FR",
    },
}
"""`CONTACT` as it is read back."""
MANAGERS = ["primary", "contact_updates=UPDATE"]
OTHERS = [
    ("contact_updates=VIEW", "FORBIDDEN"),
    ("contact_updates=NONE", "FORBIDDEN"),
    ("manage_access=UPDATE", "FORBIDDEN"),
    ("user", "FORBIDDEN"),
    ("ended", "NOT_FOUND"),
    ("stranger", "NOT_FOUND"),
]


def first(place: Place) -> str:
    """The id of the primary contact record a site begins with, which has BILLING too."""
    return write_id("contact", place.contact_id)


async def seen(person: Person, place: Place, arguments: str = "") -> list[dict[str, Any]]:
    """The contacts of a site as a person sees them."""
    document = f"query($id: ID!) {{ site(id: $id) {{ contacts{arguments} {{ {FIELDS} }} }} }}"
    contacts: list[dict[str, Any]] = (await person.ask(document, id=place.id))["site"]["contacts"]
    return contacts


async def types_of(place: Place) -> dict[str, list[str]]:
    return {contact["id"]: contact["types"] for contact in await seen(place.primary, place)}


@pytest.mark.parametrize("who", MANAGERS)
async def test_a_contact_is_created_updated_and_deleted(world: World, who: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    selection = f"contact {{ {FIELDS} }} site {{ contacts {{ id }} }}"
    created = await caller.succeed("createContact", selection, siteId=place.id, **CONTACT)
    contact_id = created["contact"]["id"]
    assert created["contact"] == {"id": contact_id, **KEPT}
    assert created["site"]["contacts"] == [{"id": first(place)}, {"id": contact_id}]

    change = CONTACT | {"firstName": "Dominique", "types": ["SITE_TECHNICAL", "BILLING"]}
    updated = await caller.succeed("updateContact", selection, contactId=contact_id, **change)
    assert updated["contact"] == created["contact"] | {
        "firstName": "Dominique",
        "types": ["SITE_TECHNICAL", "BILLING"],
    }

    form = [{"contactId": contact_id, **CONTACT}]
    saved = await caller.succeed(
        "updateContacts", f"site {{ contacts {{ {FIELDS} }} }}", siteId=place.id, contacts=form
    )
    assert saved["site"]["contacts"][1] == created["contact"]

    deleted = await caller.succeed(
        "deleteContact", "deletedContactId site { contacts { id } }", contactId=contact_id
    )
    assert (deleted["deletedContactId"], deleted["site"]) == (
        contact_id,
        {"contacts": [{"id": first(place)}]},
    )


@pytest.mark.parametrize("mutation", ["createContact", "updateContact", "updateContacts", "deleteContact"])
@pytest.mark.parametrize(("who", "code"), OTHERS)
async def test_nobody_else_changes_contacts(world: World, who: str, code: str, mutation: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    contact_id = await world.contact(place, [BILLING])
    inputs: dict[str, dict[str, Any]] = {
        "createContact": {"siteId": place.id, **CONTACT},
        "updateContact": {"contactId": contact_id, **CONTACT},
        "updateContacts": {"siteId": place.id, "contacts": [{"contactId": contact_id, **CONTACT}]},
        "deleteContact": {"contactId": contact_id},
    }
    input = inputs[mutation]
    path = "siteId" if "siteId" in input else "contactId"
    assert await caller.refused(mutation, **input) == [(code, path)]


@pytest.mark.parametrize(
    ("who", "shown"),
    [
        ("primary", True),
        ("contact_updates=UPDATE", True),
        ("contact_updates=VIEW", True),
        ("contact_updates=NONE", False),
        ("manage_access=UPDATE", False),
        ("user", False),
    ],
)
async def test_every_member_sees_the_overview_but_not_everyone_the_details(
    world: World, who: str, shown: bool
) -> None:
    place = await world.site()
    contact_id = await world.contact(place, [TECHNICAL], last_name="Zola")
    caller = await world.caller(place, who)
    overview, details = (await seen(caller, place))[1], None
    assert (overview["id"], overview["lastName"], overview["types"]) == (
        contact_id,
        "Zola",
        ["SITE_TECHNICAL"],
    )
    assert overview["email"].startswith("alix.")
    assert (overview["details"] is not details) == shown
    by_node = await caller.ask(
        f"query($id: ID!) {{ node(id: $id) {{ ... on Contact {{ {FIELDS} }} }} }}", id=contact_id
    )
    assert by_node["node"] == overview


@pytest.mark.parametrize("who", ["ended", "stranger"])
async def test_strangers_see_no_contacts(world: World, who: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    document = "query($id: ID!, $c: ID!) { site(id: $id) { contacts { id } } node(id: $c) { id } }"
    assert await caller.ask(document, id=place.id, c=first(place)) == {"site": None, "node": None}


async def test_rights_over_contacts_hold_from_the_next_request_on(world: World) -> None:
    place = await world.site()
    editor, membership_id = await world.secondary(place, contact_updates=UpdateLevel.UPDATE)
    await editor.succeed("createContact", siteId=place.id, **CONTACT)
    none = {"accountManagement": {"contactUpdates": "NONE"}}
    await place.primary.succeed("updateMembership", membershipId=membership_id, privileges=none)
    assert await editor.refused("createContact", siteId=place.id, **CONTACT) == [("FORBIDDEN", "siteId")]
    assert [contact["details"] for contact in await seen(editor, place)] == [None, None]


async def test_several_contacts_may_hold_a_type_and_are_listed_by_it(world: World) -> None:
    place = await world.site()
    ids = {await world.contact(place, [TECHNICAL]), await world.contact(place, [TECHNICAL, BILLING])}
    technical = await seen(place.primary, place, "(type: SITE_TECHNICAL)")
    assert {contact["id"] for contact in technical} == ids
    assert [contact["id"] for contact in await seen(place.primary, place, "(type: PRIMARY)")] == [
        first(place)
    ]
    assert await seen(place.primary, place, "(type: SUBSCRIPTION_AND_SUPPORT_RENEWAL)") == []


async def test_contacts_are_listed_by_name_without_case_and_accents(world: World) -> None:
    place = await world.site()
    for name in ("Zola", "ørsted", "Élie", "elie", "Łukasik", "Adam"):
        await place.primary.succeed("createContact", siteId=place.id, **CONTACT | {"lastName": name})
    renamed = (await seen(place.primary, place))[1]
    assert renamed["lastName"] == "Adam"
    form = CONTACT | {"lastName": "Ömer"}
    await place.primary.succeed("updateContact", contactId=renamed["id"], **form)
    names = [contact["lastName"] for contact in (await seen(place.primary, place))[1:]]
    assert names == ["Élie", "elie", "Łukasik", "Ömer", "ørsted", "Zola"]


async def test_whoever_is_primary_now_stands_in_for_a_type_that_nobody_holds(world: World) -> None:
    place = await world.site()
    technical = await world.contact(place, [TECHNICAL])
    document = """query($id: ID!) { site(id: $id) {
      technical: contactFor(type: SITE_TECHNICAL) { id } renewal: contactFor(type: SUBSCRIPTION_AND_SUPPORT_RENEWAL)
      { id } primary: contactFor(type: PRIMARY) { id } } }"""

    async def addressed() -> list[str]:
        return [
            contact["id"] for contact in (await place.primary.ask(document, id=place.id))["site"].values()
        ]

    assert await addressed() == [technical, first(place), first(place)]
    change = CONTACT | {"types": ["PRIMARY", "BILLING"]}
    await place.primary.succeed("updateContact", contactId=technical, **change)
    assert await addressed() == [technical, technical, technical]
    await place.primary.succeed(
        "updateContact", contactId=first(place), **CONTACT | {"types": ["SITE_TECHNICAL"]}
    )
    assert await addressed() == [first(place), technical, technical]


@pytest.mark.parametrize("way", ["createContact", "updateContact", "updateContacts"])
async def test_giving_primary_takes_it_from_the_other(world: World, way: str) -> None:
    place = await world.site()
    form: dict[str, Any] = CONTACT | {"types": ["PRIMARY", "SITE_TECHNICAL"]}
    if way == "createContact":
        payload = await place.primary.succeed(way, "contact { id }", siteId=place.id, **form)
        contact_id = payload["contact"]["id"]
    else:
        contact_id = await world.contact(place, [BILLING])
        item = {"contactId": contact_id, **form}
        input = item if way == "updateContact" else {"siteId": place.id, "contacts": [item]}
        await place.primary.succeed(way, **input)
    assert await types_of(place) == {contact_id: ["PRIMARY", "SITE_TECHNICAL"], first(place): ["BILLING"]}


@pytest.mark.parametrize("order", [1, -1])
async def test_primary_is_handed_over_within_one_form_in_any_order(world: World, order: int) -> None:
    place = await world.site()
    other = await world.contact(place, [BILLING])
    form = [
        {"contactId": first(place), **CONTACT, "types": ["SITE_TECHNICAL"]},
        {"contactId": other, **CONTACT, "types": ["PRIMARY"]},
    ]
    await place.primary.succeed("updateContacts", siteId=place.id, contacts=form[::order])
    assert await types_of(place) == {other: ["PRIMARY"], first(place): ["SITE_TECHNICAL"]}


async def test_two_primary_contacts_in_one_form_are_refused(world: World) -> None:
    place = await world.site()
    others = [await world.contact(place, [BILLING]) for _ in range(2)]
    for ids in (others, [first(place), others[0]]):
        form = [{"contactId": id, **CONTACT, "types": ["PRIMARY", "BILLING"]} for id in ids]
        refusal = await place.primary.refused("updateContacts", siteId=place.id, contacts=form)
        assert refusal == [("SEVERAL_PRIMARY_CONTACTS", f"contacts.{index}.types") for index in (0, 1)]


async def test_primary_cannot_be_dropped(world: World) -> None:
    place = await world.site()
    form = {"contactId": first(place), **CONTACT}
    assert await place.primary.refused("updateContact", **form) == [
        ("PRIMARY_CONTACT_TYPE_REQUIRED", "types")
    ]
    refusal = await place.primary.refused("updateContacts", siteId=place.id, contacts=[form])
    assert refusal == [("PRIMARY_CONTACT_TYPE_REQUIRED", "contacts.0.types")]


@pytest.mark.parametrize("way", ["createContact", "updateContact", "updateContacts"])
async def test_primary_is_not_taken_from_who_would_be_left_without_a_type(world: World, way: str) -> None:
    place = await world.site()
    other = await world.contact(place, [BILLING])
    form: dict[str, Any] = {**CONTACT, "types": ["PRIMARY"]}
    await place.primary.succeed("updateContact", contactId=first(place), **form)
    inputs: dict[str, dict[str, Any]] = {
        "createContact": {"siteId": place.id, **form},
        "updateContact": {"contactId": other, **form},
        "updateContacts": {"siteId": place.id, "contacts": [{"contactId": other, **form}]},
    }
    async with world.unchanged():
        (error,) = (await place.primary.do(way, **inputs[way]))["errors"]
    assert error["code"] == "CONTACT_TYPE_REQUIRED"
    assert error["path"] == (["contacts", "0", "types"] if way == "updateContacts" else ["types"])
    assert error["message"].startswith("Camille Durand would be left without a type.")


async def test_the_primary_contact_record_is_not_deleted_until_it_is_handed_over(world: World) -> None:
    place = await world.site()
    refusal = await place.primary.refused("deleteContact", contactId=first(place))
    assert refusal == [("PRIMARY_CONTACT_TYPE_REQUIRED", "contactId")]
    await place.primary.succeed("createContact", siteId=place.id, **CONTACT | {"types": ["PRIMARY"]})
    await place.primary.succeed("deleteContact", contactId=first(place))
    assert list((await types_of(place)).values()) == [["PRIMARY"]]


async def test_contacts_that_are_not_in_the_form_stay_as_they_are(world: World) -> None:
    place = await world.site()
    named, other = await world.contact(place, [BILLING]), await world.contact(place, [TECHNICAL])
    before = {contact["id"]: contact for contact in await seen(place.primary, place)}
    form = [{"contactId": named, **CONTACT}]
    await place.primary.succeed("updateContacts", siteId=place.id, contacts=form)
    after = {contact["id"]: contact for contact in await seen(place.primary, place)}
    assert after == before | {named: {"id": named, **KEPT}}
    assert other in after


async def test_one_bad_contact_changes_none(world: World) -> None:
    place = await world.site()
    ids = [await world.contact(place, [BILLING]) for _ in range(3)]
    form = [{"contactId": id, **CONTACT} for id in ids]
    form[1]["postalCode"] = "nowhere"
    refusal = await place.primary.refused("updateContacts", siteId=place.id, contacts=form)
    assert refusal == [("INVALID_POSTAL_CODE", "contacts.1.postalCode")]


async def test_all_faults_of_all_contacts_are_told_at_once(world: World) -> None:
    place, elsewhere = await world.site(), await world.site()
    ids = [await world.contact(place, [BILLING]) for _ in range(3)]
    foreign = await world.contact(elsewhere, [BILLING])
    primary: dict[str, Any] = {"types": ["PRIMARY"]}
    form = [
        {"contactId": ids[0], **CONTACT, "email": "nobody", **primary},
        {"contactId": foreign, **CONTACT, "phone": "12"},
        {"contactId": place.primary.id, **CONTACT},
        {"contactId": ids[0], **CONTACT},
        {"contactId": ids[1], **CONTACT, "city": "", "postalCode": None, **primary},
        {"contactId": ids[2], **CONTACT},
    ]
    refusal = await place.primary.refused("updateContacts", siteId=place.id, contacts=form)
    assert sorted(refusal, key=lambda fault: fault[1]) == [
        ("INVALID_EMAIL", "contacts.0.email"),
        ("SEVERAL_PRIMARY_CONTACTS", "contacts.0.types"),
        ("NOT_FOUND", "contacts.1.contactId"),
        ("INVALID_PHONE", "contacts.1.phone"),
        ("WRONG_ID_KIND", "contacts.2.contactId"),
        ("DUPLICATE", "contacts.3.contactId"),
        ("REQUIRED", "contacts.4.city"),
        ("REQUIRED", "contacts.4.postalCode"),
        ("SEVERAL_PRIMARY_CONTACTS", "contacts.4.types"),
    ]


@pytest.mark.parametrize("mutation", ["createContact", "updateContact"])
async def test_faults_of_the_form_and_of_the_types_are_told_together(world: World, mutation: str) -> None:
    place = await world.site()
    form: dict[str, Any] = {**CONTACT, "types": ["PRIMARY"]}
    await place.primary.succeed("updateContact", contactId=first(place), **form)
    other = await world.contact(place, [BILLING])
    where = {"siteId": place.id} if mutation == "createContact" else {"contactId": other}
    refusal = await place.primary.refused(mutation, **where, **form | {"phone": "12"})
    assert refusal == [("INVALID_PHONE", "phone"), ("CONTACT_TYPE_REQUIRED", "types")]


async def test_a_form_has_at_most_a_hundred_contacts(world: World) -> None:
    place = await world.site()
    form = [{"contactId": first(place), **CONTACT}] * 101
    refusal = await place.primary.refused("updateContacts", siteId=place.id, contacts=form)
    assert refusal == [("TOO_MANY", "contacts")]


@pytest.mark.parametrize("form", ["updateContact", "updateContacts", "nothing"])
async def test_saving_what_is_already_there_changes_nothing(world: World, form: str) -> None:
    place = await world.site()
    created = await place.primary.succeed("createContact", "contact { id }", siteId=place.id, **CONTACT)
    item = {"contactId": created["contact"]["id"], **CONTACT}
    async with world.unchanged():
        if form == "updateContact":
            await place.primary.succeed(form, **item)
        else:
            contacts = [item] if form == "updateContacts" else []
            await place.primary.succeed("updateContacts", siteId=place.id, contacts=contacts)


async def test_the_email_of_a_contact_is_independent_of_the_user_with_the_same_address(world: World) -> None:
    place = await world.site()
    mail = "query { viewer { user { email } } }"
    before = await place.primary.ask(mail)
    form = CONTACT | {"types": ["PRIMARY"], "email": "somebody.else@example.com"}
    await place.primary.succeed("updateContact", contactId=first(place), **form)
    assert await place.primary.ask(mail) == before
