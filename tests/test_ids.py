"""Ids and callers of every mutation: foreign, unknown, wrong and anonymous ones are refused alike everywhere."""

from typing import Any
from uuid import uuid4

import pytest

from app.query.ids import write_id
from app.rules import ContactType, snake
from tests.receiver import delivery_row, webhook_row
from tests.site_rules import blocked_row, naming_row, template_row
from tests.world import CONTACT, Place, World

PERSON = {
    "ibmId": "somebody@example.com",
    "email": "somebody@example.com",
    "confirmed": True,
    "justification": "New colleague",
    "role": "USER",
}
BY_ID: dict[str, tuple[str, dict[str, Any]]] = {
    "withdrawAccessRequest": ("accessRequestId", {}),
    "grantAccessRequest": ("accessRequestId", {"role": "USER"}),
    "denyAccessRequest": ("accessRequestId", {"reason": "UNKNOWN_REQUESTER"}),
    "addUser": ("siteId", PERSON),
    "updateMembership": ("membershipId", {"privileges": {"reporting": "VIEW"}}),
    "removeMembership": ("membershipId", {}),
    "leaveSite": ("siteId", {}),
    "requestExtension": ("siteId", {"endsAt": "2030-01-01T00:00:00Z", "justification": "Needed"}),
    "requestHigherLevel": ("siteId", {"privileges": {"reporting": "VIEW"}, "justification": "Needed"}),
    "nominatePrimaryContact": ("siteId", {"membershipId": "nothing", "justification": "Needed"}),
    "cancelNomination": ("nominationId", {}),
    "acceptNomination": ("nominationId", {}),
    "declineNomination": ("nominationId", {}),
    "addUsers": ("siteId", {"items": [PERSON]}),
    "updateMemberships": ("siteId", {"items": [{"membershipId": "membership_0", "role": "USER"}]}),
    "removeMemberships": ("siteId", {"items": [{"membershipId": "membership_0"}]}),
    "grantAccessRequests": ("siteId", {"items": [{"accessRequestId": "access_request_0", "role": "USER"}]}),
    "denyAccessRequests": (
        "siteId",
        {"items": [{"accessRequestId": "access_request_0", "reason": "UNKNOWN_REQUESTER"}]},
    ),
    "createContact": ("siteId", CONTACT),
    "updateContact": ("contactId", CONTACT),
    "updateContacts": ("siteId", {"contacts": []}),
    "deleteContact": ("contactId", {}),
    "confirmContactReview": ("siteId", {}),
    "createCalendarSubscription": ("siteId", {}),
    "revokeCalendarSubscription": ("calendarSubscriptionId", {}),
    "createWebhook": ("siteId", {"url": "https://example.com/", "events": []}),
    "updateWebhook": ("webhookId", {"events": []}),
    "deleteWebhook": ("webhookId", {}),
    "rotateWebhookSecret": ("webhookId", {}),
    "pingWebhook": ("webhookId", {}),
    "redeliverWebhook": ("deliveryId", {}),
    "updateSiteRules": ("siteId", {}),
    "blockRequester": ("siteId", {"ibmId": "somebody@example.com"}),
    "unblockRequester": ("blockedRequesterId", {}),
    "createPrivilegeTemplate": ("siteId", {"name": "Some", "privileges": {}}),
    "updatePrivilegeTemplate": ("privilegeTemplateId", {}),
    "deletePrivilegeTemplate": ("privilegeTemplateId", {}),
    "confirmNaming": ("namingId", {}),
    "rejectNaming": ("namingId", {}),
}
"""Every mutation that takes an id: the field it stands in, and the rest of an input in which nothing is wrong."""
ALL = {
    **BY_ID,
    "requestAccess": ("siteNumber", {}),
    "updateENotificationPreferences": ("email", {"topics": []}),
}
TYPES = {
    "siteId": "Site",
    "membershipId": "Membership",
    "accessRequestId": "AccessRequest",
    "contactId": "Contact",
    "nominationId": "Nomination",
    "calendarSubscriptionId": "CalendarSubscription",
    "webhookId": "Webhook",
    "deliveryId": "WebhookDelivery",
    "blockedRequesterId": "BlockedRequester",
    "privilegeTemplateId": "PrivilegeTemplate",
    "namingId": "Naming",
}
GARBAGE = [
    "",
    " ",
    "x",
    "1",
    "site",
    "site_",
    "_",
    "None",
    "\x00",
    "\ud800",
    "é",
    "x" * 5000,
    "../../etc",
    "%s",
]


async def ids_of(world: World, place: Place) -> dict[str, str]:
    """An id of every kind at a site, by the field it fits, and of a user, which fits none."""
    membership_id = (await world.member(place))[1]
    return {
        "siteId": place.id,
        "membershipId": membership_id,
        "nominationId": await world.nomination(place, membership_id),
        "accessRequestId": (await world.request(place))[1],
        "contactId": await world.contact(place, [ContactType.BILLING]),
        "calendarSubscriptionId": (await world.calendar(place, place.primary))[1],
        **await webhook_ids(world, place),
        **await site_rule_ids(world, place),
        "user": place.primary.id,
    }


async def webhook_ids(world: World, place: Place) -> dict[str, str]:
    """A webhook of the site, and a delivery of it."""
    webhook = webhook_row(place)
    delivery = delivery_row(webhook)
    ids = {
        "webhookId": write_id("webhook", webhook.id),
        "deliveryId": write_id("webhook_delivery", delivery.id),
    }
    await world.add(webhook, delivery)
    return ids


async def site_rule_ids(world: World, place: Place) -> dict[str, str]:
    """A blocked requester, a template and a waiting naming of the site."""
    blocked, template = blocked_row(place), template_row(place)
    naming = naming_row(place, await world.person())
    ids = {
        "blockedRequesterId": write_id("blocked_requester", blocked.id),
        "privilegeTemplateId": write_id("privilege_template", template.id),
        "namingId": write_id("naming", naming.id),
    }
    await world.add(blocked, template, naming)
    return ids


async def test_every_mutation_is_tried_below(world: World) -> None:
    person = await world.person()
    fields = "{ __schema { mutationType { fields { name } } } }"
    data = await person.ask(fields)
    assert {field["name"] for field in data["__schema"]["mutationType"]["fields"]} == set(ALL)


@pytest.mark.parametrize("mutation", BY_ID)
async def test_a_foreign_id_is_answered_exactly_like_an_unknown_one(world: World, mutation: str) -> None:
    field, rest = BY_ID[mutation]
    place, elsewhere = await world.site(), await world.site()
    foreign = (await ids_of(world, elsewhere))[field]
    unknown = f"{snake(TYPES[field])}_{uuid4().hex}"
    answers = []
    async with world.unchanged():
        for id in (foreign, unknown):
            response = await place.primary.post(document(mutation), input={field: id, **rest})
            answers.append(response.json())
    assert answers[0] == answers[1]
    (error,) = answers[0]["data"][mutation]["errors"]
    assert (error["code"], error["path"]) == ("NOT_FOUND", [field])
    assert error["__typename"] == "AccessError"


def document(mutation: str) -> str:
    kind = mutation[0].upper() + mutation[1:]
    return (
        f"mutation($input: {kind}Input!) {{ {mutation}(input: $input)"
        " { __typename errors { __typename code message path } } }"
    )


@pytest.mark.parametrize("mutation", BY_ID)
async def test_what_is_no_id_of_the_kind_says_so(world: World, mutation: str) -> None:
    field, rest = BY_ID[mutation]
    place = await world.site()
    ids = await ids_of(world, place)
    right = ids.pop(field)
    spoiled = [right.upper(), f"{right} ", f"{right}\n", right[:-1], f"{right}0", right.replace("_", "-")]
    async with world.unchanged():
        for id in [*ids.values(), *spoiled, *GARBAGE]:
            payload = await place.primary.do(mutation, **{field: id, **rest})
            faults = [(error["code"], error["path"]) for error in payload["errors"]]
            assert faults == [("WRONG_ID_KIND", [field])], id
            assert payload["errors"][0]["message"] == f"This is not the id of a {TYPES[field]}."


@pytest.mark.parametrize("id", [None, 1.5, True, ["x"], {"id": "x"}])
@pytest.mark.parametrize("mutation", ["leaveSite", "updateContact"])
async def test_what_cannot_be_an_id_at_all_is_the_programs_fault(
    world: World, mutation: str, id: Any
) -> None:
    field, rest = BY_ID[mutation]
    place = await world.site()
    async with world.unchanged():
        response = await place.primary.post(document(mutation), input={field: id, **rest})
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_ids_within_a_form_are_treated_alike(world: World) -> None:
    place, elsewhere = await world.site(), await world.site()
    ids = await ids_of(world, place)
    foreign = (await ids_of(world, elsewhere))["contactId"]
    for id in (foreign, f"contact_{uuid4().hex}"):
        form = [{"contactId": id, **CONTACT}]
        refusal = await place.primary.refused("updateContacts", siteId=place.id, contacts=form)
        assert refusal == [("NOT_FOUND", "contacts.0.contactId")]
    del ids["contactId"]
    for id in [*ids.values(), *GARBAGE]:
        form = [{"contactId": id, **CONTACT}]
        refusal = await place.primary.refused("updateContacts", siteId=place.id, contacts=form)
        assert refusal == [("WRONG_ID_KIND", "contacts.0.contactId")]


@pytest.mark.parametrize("mutation", ALL)
async def test_anonymous_callers_must_sign_in_first(world: World, mutation: str) -> None:
    field, rest = ALL[mutation]
    place = await world.site()
    ids = {"siteNumber": place.number, "email": place.primary.ibm_id, **await ids_of(world, place)}
    for id in (ids[field], "nonsense"):
        body = {"query": document(mutation), "variables": {"input": {field: id, **rest}}}
        async with world.unchanged():
            answer = (await world.client.post("/graphql", json=body)).json()
        assert answer["data"] == {mutation: None}
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]
