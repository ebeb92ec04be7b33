"""`expectedVersion`: who decided on something that has changed since is told so, and nothing is done."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.query.ids import write_id
from app.rules import ContactType
from tests.mutations import MUTATIONS, SCHEMA
from tests.receiver import webhook_row
from tests.world import CONTACT, Person, Place, World

STALE = """errors { __typename code message path ... on StaleVersionError { currentVersion
  membership { id version role } contact { id version firstName } webhook { id version description }
  user { id eNotifications { version topics } } } }"""
Maker = Callable[[World, Place], Awaitable[dict[str, Any]]]


async def _membership(world: World, place: Place) -> dict[str, Any]:
    return {"membershipId": (await world.member(place))[1]}


async def _contact(world: World, place: Place) -> dict[str, Any]:
    return {"contactId": await world.contact(place, [ContactType.BILLING]), **CONTACT}


async def _webhook(world: World, place: Place) -> dict[str, Any]:
    webhook = webhook_row(place)
    given = {"webhookId": write_id("webhook", webhook.id)}
    await world.add(webhook)
    return given


async def _nothing(_world: World, _place: Place) -> dict[str, Any]:
    return {}


THINGS: dict[str, tuple[Maker, list[dict[str, Any]], str]] = {
    "updateMembership": (
        _membership,
        [{"privileges": {"reporting": "VIEW"}}, {"privileges": {"reporting": "NONE"}}],
        "membership { version }",
    ),
    "updateContact": (_contact, [{"firstName": "Zoé"}, {"firstName": "Ana"}], "contact { version }"),
    "updateWebhook": (_webhook, [{"description": "One"}, {"description": "Two"}], "webhook { version }"),
    "updateENotificationPreferences": (
        _nothing,
        [{"topics": ["NEW_VERSIONS"]}, {"topics": []}],
        "user { eNotifications { version } }",
    ),
}
"""How to make what a mutation updates, two inputs that change it, and where the version stands."""


def stale(mutation: str) -> str:
    kind = mutation[0].upper() + mutation[1:]
    selection = THINGS[mutation][2]
    return f"mutation($input: {kind}Input!) {{ {mutation}(input: $input) {{ {selection} {STALE} }} }}"


async def update(person: Person, mutation: str, **input: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await person.ask(stale(mutation), input=input))[mutation]
    return payload


def version_in(payload: Any) -> int:
    """The one version in an answer."""
    while isinstance(payload, dict):
        payload = next(value for key, value in payload.items() if key != "errors")
    return int(payload)


def test_every_update_takes_a_version() -> None:
    assert SCHEMA.mutation_type is not None
    updates = {name for name in MUTATIONS if name.startswith("update")} - {
        "updateContacts",
        "updateMemberships",
    }
    takes = {
        name
        for name, field in SCHEMA.mutation_type.fields.items()
        if "expectedVersion" in field.args["input"].type.of_type.fields  # type: ignore[union-attr]
    }
    assert updates == takes
    # The versions of site rules and of templates are tested with the rest of these.
    assert takes - {"updateSiteRules", "updatePrivilegeTemplate"} == set(THINGS)


@pytest.mark.parametrize("mutation", THINGS)
async def test_the_right_version_is_done_and_counted(world: World, mutation: str) -> None:
    place = await world.site()
    make, (first, second), _ = THINGS[mutation]
    given = await make(world, place)
    before = version_in(await update(place.primary, mutation, **given | first))
    payload = await update(place.primary, mutation, **given | second, expectedVersion=before)
    assert payload["errors"] == []
    assert version_in(payload) == before + 1


@pytest.mark.parametrize("mutation", THINGS)
async def test_a_stale_version_is_told_with_the_present_one_and_nothing_is_done(
    world: World, mutation: str
) -> None:
    place = await world.site()
    make, (first, second), _ = THINGS[mutation]
    given = await make(world, place)
    present = version_in(await update(place.primary, mutation, **given | first))
    for read in (present - 1, present + 1, 0, -1, 2**31 - 1):
        for rest in ({}, {"validateOnly": True}, {"idempotencyKey": f"{mutation}{read}"}):
            if read == present:
                continue
            async with world.unchanged():
                payload = await update(
                    place.primary, mutation, **given | second, expectedVersion=read, **rest
                )
            (error,) = payload["errors"]
            assert (error["__typename"], error["code"]) == ("StaleVersionError", "STALE_VERSION")
            assert (error["path"], error["currentVersion"]) == (["expectedVersion"], present)
            shown = [error[name] for name in ("membership", "contact", "webhook", "user") if error[name]]
            assert len(shown) == 1
            state = shown[0].get("eNotifications") or shown[0]
            assert state["version"] == present


async def test_the_version_of_preferences_that_were_never_set_is_nought(world: World) -> None:
    person = await world.person()
    shown = await person.ask("{ viewer { user { eNotifications { version } } } }")
    assert shown == {"viewer": {"user": {"eNotifications": {"version": 0}}}}
    payload = await update(
        person, "updateENotificationPreferences", topics=["NEW_VERSIONS"], expectedVersion=0
    )
    assert (version_in(payload), payload["errors"]) == (1, [])


@pytest.mark.parametrize("mutation", THINGS)
async def test_of_two_at_once_with_the_same_version_one_wins(world: World, mutation: str) -> None:
    place = await world.site()
    make, inputs, _ = THINGS[mutation]
    given = await make(world, place)
    read = version_in(await update(place.primary, mutation, **given | inputs[0]))
    # Ten who all want something else than what is there.
    acts = [update(place.primary, mutation, **given | inputs[1], expectedVersion=read) for _ in range(10)]
    payloads = await asyncio.gather(*acts)
    refused = [payload["errors"] for payload in payloads if payload["errors"]]
    assert len(refused) == 9
    assert {error["currentVersion"] for (error,) in refused} == {read + 1}


async def test_what_changes_nothing_keeps_the_version(world: World) -> None:
    place = await world.site()
    given = await _membership(world, place)
    for _ in range(2):
        payload = await update(place.primary, "updateMembership", **given, role="USER", expectedVersion=1)
        assert (version_in(payload), payload["errors"]) == (1, [])


async def test_a_form_says_which_contact_is_stale_and_saves_none(world: World) -> None:
    place = await world.site()
    ids = [await world.contact(place, [ContactType.BILLING]) for _ in range(3)]
    await place.primary.succeed("updateContact", contactId=ids[1], **CONTACT)
    form = [{"contactId": id, **CONTACT, "city": "Lyon", "expectedVersion": 1} for id in ids]
    form[2]["country"] = "XX"
    document = f"mutation($input: UpdateContactsInput!) {{ updateContacts(input: $input) {{ {STALE} }} }}"
    async with world.unchanged():
        answer = await place.primary.ask(document, input={"siteId": place.id, "contacts": form})
    stale_one, country = answer["updateContacts"]["errors"]
    assert (stale_one["path"], stale_one["currentVersion"]) == (["contacts", "1", "expectedVersion"], 2)
    assert stale_one["contact"] == {"id": ids[1], "version": 2, "firstName": "Camille"}
    assert country["path"][:2] == ["contacts", "2"]
    del form[2]["country"]
    form = [{"contactId": id, **CONTACT, "city": "Lyon", "expectedVersion": 1 + (id == ids[1])} for id in ids]
    payload = await place.primary.succeed(
        "updateContacts", "site { contacts { version } }", siteId=place.id, contacts=form
    )
    assert sorted(contact["version"] for contact in payload["site"]["contacts"]) == [1, 2, 2, 3]


async def test_losing_the_primary_type_to_another_contact_is_a_new_version(world: World) -> None:
    place = await world.site()
    holder = write_id("contact", place.contact_id)
    taker = await world.contact(place, [ContactType.BILLING])
    form = CONTACT | {"types": ["PRIMARY"]}
    await place.primary.succeed("updateContact", contactId=taker, **form, expectedVersion=1)
    payload = await update(place.primary, "updateContact", contactId=holder, **CONTACT, expectedVersion=1)
    assert [error["currentVersion"] for error in payload["errors"]] == [2]


async def test_the_sentence_in_french(world: World) -> None:
    place = await world.site()
    given = await _membership(world, place)
    payload = await place.primary.do("updateMembership", "", "fr", **given, expectedVersion=5)
    assert payload["errors"][0]["message"].startswith("Quelqu’un")
