"""Webhooks through the API: who may manage them, what is kept and shown, and that no secret is ever shown again."""

import asyncio
import base64
import json
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs

from app.db.webhooks import Webhook, WebhookDelivery, WebhookSecret
from app.query.ids import parse_id, write_id
from app.rules import Event
from app.webhook_rules import WEBHOOK_SLOTS, WebhookDeliveryState, WebhookDisabledReason
from tests.access import MANAGERS
from tests.receiver import delivery_row, webhook_row
from tests.world import CONTACT, UPDATE, Place, World, ago

URL = "https://partner.example/hooks?token=abc"
FIELDS = """id url events description active disabledReason failingSince formerSecretEndsAt createdAt
  createdBy { id }"""
DELIVERY = "id event payload state attempts nextAttemptAt lastStatus lastError deliveredAt createdAt"
READ = f"""query($site: ID!, $id: ID!) {{ site(id: $site) {{ webhooks {{ {FIELDS} }} }}
  node(id: $id) {{ ... on Webhook {{ {FIELDS} deliveries {{ totalCount nodes {{ {DELIVERY} }} }} }}
    ... on WebhookDelivery {{ {DELIVERY} }} }} }}"""
STRANGERS = ["stranger", "ended"]
DENIED = ["manage_access=VIEW", "manage_access=NONE", "contact_updates=UPDATE", "user"]


async def create(place: Place, **input: Any) -> dict[str, Any]:
    """The payload of a webhook made by the primary contact."""
    given = {"siteId": place.id, "url": URL, "events": [], **input}
    return await place.primary.succeed("createWebhook", f"webhook {{ {FIELDS} }} secret", **given)


async def with_delivery(world: World, place: Place, **values: Any) -> tuple[str, str]:
    """The ids of a webhook and of a delivery of it."""
    webhook = webhook_row(place)
    delivery = delivery_row(webhook, **values)
    ids = write_id("webhook", webhook.id), write_id("webhook_delivery", delivery.id)
    await world.add(webhook, delivery)
    return ids


async def deliveries(world: World, webhook_id: str) -> list[WebhookDelivery]:
    key = (parse_id(webhook_id) or ("", None))[1]
    return await world.rows(WebhookDelivery, WebhookDelivery.webhook_id == key)


# What managers do


@pytest.mark.parametrize("who", MANAGERS)
async def test_a_webhook_is_created_and_shows_its_secret_once(world: World, who: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    payload = await caller.succeed(
        "createWebhook",
        f"webhook {{ {FIELDS} }} secret site {{ webhooks {{ id }} }}",
        siteId=place.id,
        url=f" {URL} ",
        events=["SITE_LEFT", "ACCESS_REQUESTED"],
        description=" Reseller’s back office ",
    )
    webhook = payload["webhook"]
    assert webhook["url"] == URL
    assert webhook["events"] == ["ACCESS_REQUESTED", "SITE_LEFT"]
    assert webhook["description"] == "Reseller’s back office"
    assert (webhook["active"], webhook["disabledReason"], webhook["failingSince"]) == (True, None, None)
    assert webhook["createdBy"] == {"id": caller.id}
    assert payload["site"] == {"webhooks": [{"id": webhook["id"]}]}
    prefix, _, encoded = payload["secret"].partition("_")
    assert prefix == "whsec"
    assert 24 <= len(base64.b64decode(encoded, validate=True)) <= 64
    other = await create(await world.site())
    assert other["secret"] != payload["secret"]


async def test_a_webhook_is_changed_in_what_is_given(world: World) -> None:
    place = await world.site()
    made = (await create(place, description="Old", events=["SITE_LEFT"]))["webhook"]

    async def update(**input: Any) -> dict[str, Any]:
        payload = await place.primary.succeed(
            "updateWebhook", f"webhook {{ {FIELDS} }}", webhookId=made["id"], **input
        )
        changed: dict[str, Any] = payload["webhook"]
        return changed

    assert await update() == made
    assert await update(url="https://other.example/") == made | {"url": "https://other.example/"}
    assert await update(url=URL, events=[]) == made | {"events": []}
    assert await update(events=["SITE_LEFT"], description="New") == made | {"description": "New"}
    assert await update(description=" ", active=False) == made | {"description": None, "active": False}
    assert await update(active=True, description="Old") == made


async def test_making_it_active_forgets_why_it_was_disabled_and_sends_what_has_waited(world: World) -> None:
    place = await world.site()
    row = webhook_row(
        place, active=False, disabled_reason=WebhookDisabledReason.FAILING, failing_since=ago(days=4)
    )
    delivery, dead = delivery_row(row), delivery_row(row, state=WebhookDeliveryState.DEAD)
    id = write_id("webhook", row.id)
    await world.add(row, delivery, dead)
    selection = f"webhook {{ {FIELDS} deliveries {{ nodes {{ state nextAttemptAt }} }} }}"
    payload = await place.primary.succeed("updateWebhook", selection, webhookId=id, description="x")
    assert (payload["webhook"]["active"], payload["webhook"]["disabledReason"]) == (False, "FAILING")
    payload = await place.primary.succeed("updateWebhook", selection, webhookId=id, active=True)
    assert (payload["webhook"]["active"], payload["webhook"]["disabledReason"]) == (True, None)
    assert payload["webhook"]["failingSince"] is None
    waiting, finished = payload["webhook"]["deliveries"]["nodes"]
    assert waiting["nextAttemptAt"] is not None
    assert finished == {"state": "DEAD", "nextAttemptAt": None}
    payload = await place.primary.succeed("updateWebhook", selection, webhookId=id, active=False)
    assert [one["nextAttemptAt"] for one in payload["webhook"]["deliveries"]["nodes"]] == [None, None]


async def test_a_webhook_is_deleted_with_its_secrets_and_deliveries(world: World) -> None:
    place = await world.site()
    id = (await create(place))["webhook"]["id"]
    await place.primary.succeed("pingWebhook", webhookId=id)
    payload = await place.primary.succeed(
        "deleteWebhook", "deletedWebhookId site { webhooks { id } }", webhookId=id
    )
    assert payload == {"deletedWebhookId": id, "site": {"webhooks": []}, "errors": []}
    key = (parse_id(id) or ("", None))[1]
    for model, column in (
        (Webhook, Webhook.id),
        (WebhookSecret, WebhookSecret.webhook_id),
        (WebhookDelivery, WebhookDelivery.webhook_id),
    ):
        assert await world.rows(model, column == key) == []
    assert await place.primary.refused("deleteWebhook", webhookId=id) == [("NOT_FOUND", "webhookId")]


async def test_a_new_secret_stands_beside_the_one_before_for_a_day(world: World) -> None:
    place = await world.site()
    made = await create(place)
    payload = await place.primary.succeed(
        "rotateWebhookSecret", f"webhook {{ {FIELDS} }} secret", webhookId=made["webhook"]["id"]
    )
    assert payload["secret"].startswith("whsec_") and payload["secret"] != made["secret"]
    rows = await world.rows(WebhookSecret, WebhookSecret.site_id == place.site_id)
    kept = {row.is_current: (row.secret, row.ends_at) for row in rows}
    assert kept[True] == (payload["secret"], None)
    assert kept[False][0] == made["secret"]
    assert ago(hours=-23, minutes=-59) < kept[False][1] <= ago(hours=-24)
    assert payload["webhook"]["formerSecretEndsAt"] == kept[False][1].isoformat()


async def test_a_ping_goes_the_way_of_all_events(world: World) -> None:
    place = await world.site()
    id = (await create(place, events=["SITE_LEFT"]))["webhook"]["id"]
    answer = f"delivery {{ {DELIVERY} }} webhook {{ deliveries {{ totalCount }} }}"
    payload = await place.primary.succeed("pingWebhook", answer, webhookId=id)
    delivery = payload["delivery"]
    assert payload["webhook"] == {"deliveries": {"totalCount": 1}}
    assert (delivery["event"], delivery["state"], delivery["attempts"]) == (None, "QUEUED", 0)
    body = json.loads(delivery["payload"])
    assert (body["type"], body["data"]) == ("ping", {"siteId": place.id, "siteNumber": place.number})
    assert " " not in delivery["payload"]
    (row,) = await deliveries(world, id)
    assert write_id("webhook_delivery", row.id) == delivery["id"]
    assert row.next_attempt_at is not None and row.next_attempt_at <= ago()


@pytest.mark.parametrize(
    "values",
    [
        {"state": WebhookDeliveryState.DEAD, "attempts": 10, "last_status": 500},
        {"state": WebhookDeliveryState.DELIVERED, "attempts": 1, "delivered_at": ago(hours=1)},
        {"attempts": 3, "next_attempt_at": ago(hours=-5)},
    ],
    ids=["dead", "delivered", "waiting"],
)
async def test_a_delivery_is_sent_again_with_the_same_id(world: World, values: dict[str, Any]) -> None:
    place = await world.site()
    id, delivery_id = await with_delivery(world, place, **values)
    answer = f"delivery {{ {DELIVERY} }} webhook {{ id deliveries(filter: {{states: [QUEUED]}}) {{ totalCount }} }}"
    payload = await place.primary.succeed("redeliverWebhook", answer, deliveryId=delivery_id)
    delivery = payload["delivery"]
    assert payload["webhook"] == {"id": id, "deliveries": {"totalCount": 1}}
    assert delivery["id"] == delivery_id
    assert (delivery["state"], delivery["attempts"], delivery["deliveredAt"]) == ("QUEUED", 0, None)
    (row,) = await deliveries(world, id)
    assert row.next_attempt_at is not None and row.next_attempt_at <= ago()
    assert row.payload == '{"type":"ping"}'


@pytest.mark.parametrize(("mutation", "field"), [("pingWebhook", 0), ("redeliverWebhook", 1)])
async def test_nothing_is_sent_through_an_inactive_webhook(world: World, mutation: str, field: int) -> None:
    place = await world.site()
    ids = await with_delivery(world, place, state=WebhookDeliveryState.DEAD)
    await place.primary.succeed("updateWebhook", webhookId=ids[0], active=False)
    name = ("webhookId", "deliveryId")[field]
    assert await place.primary.refused(mutation, **{name: ids[field]}) == [("WEBHOOK_INACTIVE", name)]
    payload = await place.primary.do(mutation, **{name: ids[field]})
    assert payload["errors"][0]["__typename"] == "ConflictError"


# What is wrong with an input


async def test_all_faults_of_a_form_are_told_together(world: World) -> None:
    place = await world.site()
    id = (await create(place))["webhook"]["id"]
    faulty = {"url": "http://127.0.0.1/", "events": ["SITE_LEFT", "SITE_LEFT"], "description": "x" * 201}
    expected = [("HTTPS_REQUIRED", "url"), ("DUPLICATE", "events"), ("TOO_LONG", "description")]
    assert await place.primary.refused("createWebhook", siteId=place.id, **faulty) == expected
    assert await place.primary.refused("updateWebhook", webhookId=id, **faulty) == expected


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://169.254.169.254/latest/meta-data/", "ADDRESS_NOT_PUBLIC"),
        ("https://[::ffff:127.0.0.1]/", "ADDRESS_NOT_PUBLIC"),
        ("https://localhost/", "ADDRESS_NOT_PUBLIC"),
        ("https://user:secret@partner.example/", "CREDENTIALS_IN_URL"),
        ("https://partner.example:22/", "PORT_NOT_ALLOWED"),
        ("ftp://partner.example/", "INVALID_URL"),
        ("\ud800", "FORBIDDEN_CHARACTERS"),
        ("", "REQUIRED"),
    ],
)
async def test_addresses_that_are_refused_say_why(world: World, url: str, code: str) -> None:
    place = await world.site()
    refused = await place.primary.refused("createWebhook", siteId=place.id, url=url, events=[])
    assert refused == [(code, "url")]


async def test_refusals_are_told_in_french(world: World) -> None:
    place = await world.site()
    payload = await place.primary.do(
        "createWebhook", language="fr", siteId=place.id, url="https://10.0.0.1/", events=[]
    )
    assert payload["errors"][0]["message"] == "Cette adresse ne se trouve pas sur l’internet public."


# How many


async def test_an_eleventh_webhook_is_refused(world: World) -> None:
    place = await world.site()
    made = [(await create(place))["webhook"]["id"] for _ in range(WEBHOOK_SLOTS)]
    refused = await place.primary.refused("createWebhook", siteId=place.id, url=URL, events=[])
    assert refused == [("WEBHOOK_LIMIT", "")]
    payload = await place.primary.do("createWebhook", siteId=place.id, url=URL, events=[])
    (error,) = payload["errors"]
    assert error["__typename"] == "LimitReachedError"
    assert (error["limit"], error["current"]) == (10, 10)
    await place.primary.succeed("deleteWebhook", webhookId=made[4])
    await create(place)
    await create(await world.site())


async def test_the_limit_holds_for_many_at_once(world: World) -> None:
    place = await world.site()
    await asyncio.gather(*(create(place) for _ in range(WEBHOOK_SLOTS - 3)))
    form = {"siteId": place.id, "url": URL, "events": []}
    payloads = await asyncio.gather(*(place.primary.do("createWebhook", "secret", **form) for _ in range(12)))
    codes = [error["code"] for payload in payloads for error in payload["errors"]]
    assert codes == ["WEBHOOK_LIMIT"] * 9
    rows = await world.rows(Webhook, Webhook.site_id == place.site_id)
    assert sorted(row.slot for row in rows) == list(range(1, 11))
    assert len(await world.rows(WebhookSecret, WebhookSecret.site_id == place.site_id)) == 10


@pytest.mark.parametrize("slot", [0, 11, 1])
async def test_the_database_itself_has_ten_slots(world: World, slot: int) -> None:
    place = await world.site()
    await create(place)
    with pytest.raises(IntegrityError):
        await world.add(webhook_row(place, slot=slot))


# Who may not

WITH_WEBHOOK = ["updateWebhook", "deleteWebhook", "rotateWebhookSecret", "pingWebhook"]


@pytest.mark.parametrize("who", [*DENIED, *STRANGERS])
async def test_others_manage_and_see_nothing(world: World, who: str) -> None:
    place = await world.site()
    webhook_id, delivery_id = await with_delivery(world, place)
    caller = await world.caller(place, who)
    for mutation in WITH_WEBHOOK:
        assert await caller.refused(mutation, webhookId=webhook_id) == [("NOT_FOUND", "webhookId")]
    assert await caller.refused("redeliverWebhook", deliveryId=delivery_id) == [("NOT_FOUND", "deliveryId")]
    code = "NOT_FOUND" if who in STRANGERS else "FORBIDDEN"
    form = {"siteId": place.id, "url": URL, "events": []}
    assert await caller.refused("createWebhook", **form) == [(code, "siteId")]
    for id in (webhook_id, delivery_id):
        data = await caller.ask(READ, site=place.id, id=id)
        assert data == {"site": None if who in STRANGERS else {"webhooks": []}, "node": None}


async def test_managers_of_another_site_manage_and_see_nothing(world: World) -> None:
    place, elsewhere = await world.site(), await world.site()
    webhook_id, delivery_id = await with_delivery(world, place)
    for caller in (elsewhere.primary, (await world.secondary(elsewhere, manage_access=UPDATE))[0]):
        for mutation in WITH_WEBHOOK:
            assert await caller.refused(mutation, webhookId=webhook_id) == [("NOT_FOUND", "webhookId")]
        refused = await caller.refused("redeliverWebhook", deliveryId=delivery_id)
        assert refused == [("NOT_FOUND", "deliveryId")]
        assert (await caller.ask(READ, site=place.id, id=delivery_id)) == {"site": None, "node": None}


async def test_anonymous_callers_see_nothing(world: World) -> None:
    place = await world.site()
    webhook_id, _ = await with_delivery(world, place)
    body = {"query": READ, "variables": {"site": place.id, "id": webhook_id}}
    answer = (await world.client.post("/graphql", json=body)).json()
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"UNAUTHENTICATED"}
    assert "partner.example" not in json.dumps(answer)


# What is read


@pytest.mark.parametrize("who", MANAGERS)
async def test_deliveries_are_listed_by_state_and_in_order(world: World, who: str) -> None:
    place = await world.site()
    row = webhook_row(place)
    states = [
        {"state": WebhookDeliveryState.DEAD, "attempts": 10},
        {"attempts": 2},
        {"state": WebhookDeliveryState.DELIVERED, "attempts": 1, "delivered_at": ago(minutes=1)},
    ]
    rows = [
        delivery_row(row, created_at=ago(hours=3 - index), **values) for index, values in enumerate(states)
    ]
    id = write_id("webhook", row.id)
    ids = [write_id("webhook_delivery", one.id) for one in rows]
    await world.add(row, *rows)
    caller = await world.caller(place, who)
    document = """query($id: ID!, $filter: WebhookDeliveryFilter, $by: WebhookDeliveryOrder) { node(id: $id) {
      ... on Webhook { deliveries(filter: $filter, orderBy: $by, first: 2) {
        totalCount nodes { id } pageInfo { hasNextPage } } } } }"""

    async def listed(**variables: Any) -> tuple[list[str], int, bool]:
        page = (await caller.ask(document, id=id, **variables))["node"]["deliveries"]
        return (
            [node["id"] for node in page["nodes"]],
            page["totalCount"],
            page["pageInfo"]["hasNextPage"],
        )

    assert await listed() == (ids[:2], 3, True)
    newest = {"field": "CREATED_AT", "direction": "DESC"}
    assert await listed(by=newest) == ([ids[2], ids[1]], 3, True)
    assert await listed(by={"field": "ATTEMPTS"}) == ([ids[2], ids[1]], 3, True)
    assert await listed(filter={"states": ["DEAD"]}) == ([ids[0]], 1, False)
    both = {"states": ["DELIVERED", "QUEUED"]}
    assert await listed(filter=both, by=newest) == ([ids[2], ids[1]], 2, False)
    assert await listed(filter={"states": []}) == ([], 0, False)


# What is kept, and what is never shown


async def test_every_change_is_told_in_the_history(world: World) -> None:
    place = await world.site()
    primary = place.primary
    id = (await create(place, description="Tool"))["webhook"]["id"]
    await primary.succeed("updateWebhook", webhookId=id)
    await primary.succeed("updateWebhook", webhookId=id, events=["SITE_LEFT"])
    await primary.succeed("rotateWebhookSecret", webhookId=id)
    await primary.succeed("pingWebhook", webhookId=id)
    await primary.succeed("deleteWebhook", webhookId=id)
    events = await world.events(place)
    assert [event.event for event in events] == [
        "WEBHOOK_CREATED",
        "WEBHOOK_UPDATED",
        "WEBHOOK_SECRET_ROTATED",
        "WEBHOOK_DELETED",
    ]
    assert {(event.actor_id, event.subject_name) for event in events} == {(primary.user_id, "Tool")}
    assert {write_id(event.subject_type, event.subject_id) for event in events} == {id}
    created, updated, rotated, deleted = events
    assert (created.before, created.after["url"], created.after["events"]) == (None, URL, [])
    assert (updated.before["events"], updated.after["events"]) == ([], ["SITE_LEFT"])
    assert (rotated.before, rotated.after) == (None, None)
    assert (deleted.before["events"], deleted.after) == (["SITE_LEFT"], None)


async def test_without_a_description_it_is_called_by_its_host(world: World) -> None:
    place = await world.site()
    await create(place)
    (event,) = await world.events(place)
    assert event.subject_name == "partner.example"


async def test_a_webhook_is_not_told_of_itself_but_others_are(world: World) -> None:
    place = await world.site()
    observer = (await create(place))["webhook"]["id"]
    id = (await create(place))["webhook"]["id"]
    await place.primary.succeed("updateWebhook", webhookId=id, description="x")
    assert await deliveries(world, id) == []
    told = [row.event for row in await deliveries(world, observer)]
    assert sorted(told, key=list(Event).index) == [Event.WEBHOOK_CREATED, Event.WEBHOOK_UPDATED]


async def test_a_secret_appears_nowhere_but_in_its_own_table(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    place = await world.site()
    with capture_logs() as lines:
        made = await create(place)
        id = made["webhook"]["id"]
        rotated = await place.primary.succeed("rotateWebhookSecret", "secret", webhookId=id)
        await place.primary.succeed("updateWebhook", "webhook { id }", webhookId=id, description="x")
        await place.primary.succeed("pingWebhook", webhookId=id)
        await place.primary.succeed("createContact", siteId=place.id, **CONTACT)
        answer = await place.primary.ask(READ, site=place.id, id=id)
        await place.primary.refused("createWebhook", siteId=place.id, url="x", events=[])
    async with world.database.connect() as connection:
        statement = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        tables = set(await connection.scalars(text(statement)))
        assert {"webhook", "webhook_delivery", "history_event"} < tables
        holders = set()
        for table in tables:
            dump = await connection.scalar(text(f'SELECT string_agg(t::text, chr(10)) FROM "{table}" AS t'))
            for secret in (made["secret"], rotated["secret"]):
                if secret.removeprefix("whsec_") in (dump or ""):
                    holders.add(table)
    assert holders == {"webhook_secret"}
    output = capfd.readouterr()
    told = json.dumps(answer) + repr(lines) + output.out + output.err
    assert "whsec_" not in told
    for secret in (made["secret"], rotated["secret"]):
        assert secret.removeprefix("whsec_") not in told


async def test_no_field_of_the_schema_shows_a_secret_but_the_two_answers(world: World) -> None:
    document = "{ __schema { types { name fields { name } } } }"
    types = (await world.site()).primary.ask(document)
    shown = {
        (kind["name"], field["name"])
        for kind in (await types)["__schema"]["types"]
        for field in kind["fields"] or ()
        if "secret" in field["name"].lower() and not kind["name"].startswith("__")
    }
    assert shown == {
        ("CreateWebhookPayload", "secret"),
        ("RotateWebhookSecretPayload", "secret"),
        ("Mutation", "rotateWebhookSecret"),
        ("Webhook", "formerSecretEndsAt"),
    }


async def test_an_error_of_the_database_does_not_show_a_secret(world: World) -> None:
    place = await world.site()
    orphan = webhook_row(place)
    with pytest.raises(IntegrityError) as caught:
        await world.add(
            WebhookSecret(site_id=place.site_id, webhook_id=orphan.id, is_current=True, secret="whsec_tell")
        )
    assert "whsec_tell" not in str(caught.value)


async def test_a_refused_creation_shows_no_secret(world: World) -> None:
    place = await world.site()
    payload = await place.primary.do("createWebhook", "secret", siteId=place.id, url="x", events=[])
    assert payload["secret"] is None
