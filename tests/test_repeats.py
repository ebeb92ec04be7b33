"""`idempotencyKey`: what is sent twice is done once and answered alike, and a key stands for one act of one person."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from app.db.models import AccessRequest, HistoryEvent, Membership, User
from app.db.repeats import IdempotencyKey
from app.db.webhooks import Webhook, WebhookDelivery, WebhookSecret
from tests.access import form, full_site, newcomer
from tests.mutations import MUTATIONS, SECRETS, everything, valid
from tests.test_ids import document
from tests.world import CONTACT, Person, Place, World

AT_ONCE = 20


@pytest.fixture(scope="module", params=["engine", "interpreter"])
def either(world: World, interpreted_world: World, request: pytest.FixtureRequest) -> World:
    """The world, asked through the engine and without it."""
    return world if request.param == "engine" else interpreted_world


def new_key() -> str:
    return uuid4().hex


async def keys_of(world: World, person: Person) -> list[IdempotencyKey]:
    return await world.rows(IdempotencyKey, IdempotencyKey.user_id == person.user_id)


async def events(world: World, place: Place) -> list[str]:
    return [event.event for event in await world.events(place)]


def without_secrets(payload: dict[str, Any]) -> dict[str, Any]:
    return {name: None if name in SECRETS else value for name, value in payload.items()}


@pytest.mark.parametrize("mutation", MUTATIONS)
async def test_what_is_sent_twice_is_done_once_and_answered_alike(either: World, mutation: str) -> None:
    place, key = await either.site(), new_key()
    caller, input = await valid(either, place, mutation)
    async with either.changed():
        first = await caller.succeed(mutation, everything(mutation, depth=2), **input, idempotencyKey=key)
    async with either.unchanged():
        second = await caller.succeed(mutation, everything(mutation, depth=2), **input, idempotencyKey=key)
    assert second == without_secrets(first)


@pytest.mark.parametrize("mutation", MUTATIONS)
async def test_what_is_sent_twenty_times_at_once_is_done_once(world: World, mutation: str) -> None:
    place, key = await world.site(), new_key()
    caller, input = await valid(world, place, mutation)
    await caller.ask("{ viewer { user { id } } }")
    before = await counts(world)
    # All of the payload is compared where it is sent twice; to compile that for twenty connections takes long.
    selection = everything(mutation, depth=1)
    payloads = await asyncio.gather(
        *(caller.succeed(mutation, selection, **input, idempotencyKey=key) for _ in range(AT_ONCE))
    )
    after = await counts(world)
    assert all(without_secrets(payload) == without_secrets(payloads[0]) for payload in payloads)
    more = [abs(now - then) for now, then in zip(after, before, strict=True)]
    # A grant leaves two events, and each of them a delivery; a bulk has three items.
    assert all(number <= most for number, most in zip(more, (6, 6, 3, 3, 3, 1), strict=True)), more
    (kept,) = await keys_of(world, caller)
    assert (kept.key, kept.mutation) == (key, mutation)


async def counts(world: World) -> list[int]:
    """How many events, and how many of each thing there are."""
    models = (HistoryEvent, WebhookDelivery, Membership, AccessRequest, User, Webhook)
    return [await world.count(model) for model in models]


@pytest.mark.parametrize(
    ("mutation", "other"),
    [("addUser", {"justification": "Another"}), ("addUser", {"role": "SECONDARY_CONTACT"}),
     ("addUser", {"privileges": {"reporting": "VIEW"}})],
)  # fmt: skip
async def test_another_input_with_the_same_key_is_refused(
    world: World, mutation: str, other: dict[str, Any]
) -> None:
    place, key = await world.site(), new_key()
    input = form(place, newcomer())
    await place.primary.succeed(mutation, **input, idempotencyKey=key)
    for changed in (input | other, form(place, newcomer())):
        refusal = await place.primary.refused(mutation, **changed, idempotencyKey=key)
        assert refusal == [("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")]
    await place.primary.succeed(mutation, **input, idempotencyKey=key)


async def test_another_mutation_with_the_same_key_is_refused(world: World) -> None:
    place, key = await world.site(), new_key()
    _, request_id = await world.request(place)
    _, membership_id = await world.member(place)
    await place.primary.succeed("removeMembership", membershipId=membership_id, idempotencyKey=key)
    refusal = await place.primary.refused(
        "grantAccessRequest", accessRequestId=request_id, role="USER", idempotencyKey=key
    )
    assert refusal == [("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")]
    # The same input, but another mutation.
    for mutation in ("createCalendarSubscription", "confirmContactReview"):
        refusal = await place.primary.refused(mutation, siteId=place.id, idempotencyKey=key)
        assert refusal == [("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")]


async def test_an_input_that_says_the_same_in_other_words_is_the_same(world: World) -> None:
    """What is left out and what is null are the same, and so is the order of fields."""
    place, key = await world.site(), new_key()
    input = form(place, newcomer())
    await place.primary.succeed("addUser", **input, idempotencyKey=key)
    async with world.unchanged():
        again = dict(reversed((input | {"privileges": None, "validateOnly": False}).items()))
        await place.primary.succeed("addUser", **again, idempotencyKey=f" {key} ")


@pytest.mark.parametrize("who", ["user", "stranger", "ended", "manage_access=VIEW"])
async def test_a_refused_act_leaves_no_key_behind(world: World, who: str) -> None:
    place, key = await world.site(), new_key()
    caller = await world.caller(place, who)
    input = form(place, newcomer())
    await caller.refused("addUser", **input, idempotencyKey=key)
    assert await keys_of(world, caller) == []
    await caller.succeed("updateENotificationPreferences", topics=[], email=caller.ibm_id, idempotencyKey=key)


async def test_what_was_refused_can_be_done_with_the_same_key_once_it_is_right(world: World) -> None:
    place, key, ibm_id = await full_site(world), new_key(), newcomer()
    input = form(place, ibm_id, role="SECONDARY_CONTACT")
    assert await place.primary.refused("addUser", **input, idempotencyKey=key) == [
        ("SECONDARY_CONTACT_LIMIT", "role")
    ]
    await place.primary.succeed("addUser", **input | {"role": "USER"}, idempotencyKey=key)
    assert len(await world.rows(User, User.ibm_id == ibm_id)) == 1


async def test_keys_of_different_people_do_not_meet(world: World) -> None:
    place, key = await world.site(), new_key()
    manager = await world.caller(place, "manage_access=UPDATE")
    for caller in (place.primary, manager):
        payload = await caller.succeed(
            "addUser", "membership { id }", **form(place, newcomer()), idempotencyKey=key
        )
        assert payload["membership"]
    assert [len(await keys_of(world, caller)) for caller in (place.primary, manager)] == [1, 1]


async def test_after_a_day_the_key_is_free(world: World) -> None:
    place, key = await world.site(), new_key()
    _, membership_id = await world.member(place)
    input = {"membershipId": membership_id, "idempotencyKey": key}

    async def age(hours: float) -> None:
        async with world.database.begin() as connection:
            moved = sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, hours * 3600)
            mine = IdempotencyKey.user_id == place.primary.user_id
            await connection.execute(sa.update(IdempotencyKey).where(mine).values(created_at=moved))

    await place.primary.succeed("updateMembership", **input, privileges={"reporting": "VIEW"})
    await age(23.9)
    refusal = await place.primary.refused("updateMembership", **input, privileges={"reporting": "NONE"})
    assert refusal == [("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")]
    await age(24.1)
    await place.primary.succeed("updateMembership", **input, privileges={"reporting": "NONE"})
    (kept,) = await keys_of(world, place.primary)
    await age(24.1)
    acts = [place.primary.succeed("removeMembership", **input) for _ in range(AT_ONCE)]
    payloads = await asyncio.gather(*acts)
    assert [payload["errors"] for payload in payloads] == [[]] * AT_ONCE
    (later,) = await keys_of(world, place.primary)
    assert (kept.mutation, later.mutation) == ("updateMembership", "removeMembership")
    assert (await events(world, place)).count("MEMBERSHIP_REMOVED") == 1


async def test_a_key_that_is_too_old_goes_with_the_next_act(world: World) -> None:
    person = await world.person()
    act = {"topics": [], "email": "a@example.com"}
    await person.succeed("updateENotificationPreferences", **act, idempotencyKey=new_key())
    async with world.database.begin() as connection:
        old = sa.func.now() - sa.func.make_interval(0, 0, 0, 2)
        mine = IdempotencyKey.user_id == person.user_id
        await connection.execute(sa.update(IdempotencyKey).where(mine).values(created_at=old))
    key = new_key()
    await person.succeed("updateENotificationPreferences", **act, idempotencyKey=key)
    assert [kept.key for kept in await keys_of(world, person)] == [key]


@pytest.mark.parametrize(
    ("mutation", "input", "secret", "kept"),
    [
        ("createWebhook", {"url": "https://example.com/", "events": []}, "secret", "webhook { id }"),
        ("createCalendarSubscription", {}, "url", "calendarSubscription { id }"),
    ],
)
async def test_secrets_are_shown_once_and_never_kept(
    world: World, mutation: str, input: dict[str, Any], secret: str, kept: str
) -> None:
    place = await world.site()
    input = {"siteId": place.id, **input, "idempotencyKey": new_key()}
    first = await place.primary.succeed(mutation, f"{secret} {kept}", **input)
    second = await place.primary.succeed(mutation, f"{secret} {kept}", **input)
    assert first[secret] and second == first | {secret: None}
    (row,) = await keys_of(world, place.primary)
    assert first[secret].rsplit("/", 1)[-1].removesuffix(".ics") not in str(row.keys)
    assert first[secret] not in str(row.keys)


async def test_a_rotated_secret_is_not_shown_again_either(world: World) -> None:
    place = await world.site()
    made = await place.primary.succeed(
        "createWebhook", "webhook { id }", siteId=place.id, url="https://example.com/", events=[]
    )
    input = {"webhookId": made["webhook"]["id"], "idempotencyKey": new_key()}
    first = await place.primary.succeed("rotateWebhookSecret", "secret webhook { id }", **input)
    second = await place.primary.succeed("rotateWebhookSecret", "secret webhook { id }", **input)
    assert first["secret"] and second == first | {"secret": None}
    assert len(await world.rows(WebhookSecret, WebhookSecret.site_id == place.site_id)) == 2


async def test_a_dry_run_remembers_nothing(world: World) -> None:
    place, key = await world.site(), new_key()
    input = form(place, newcomer()) | {"idempotencyKey": key}
    async with world.unchanged():
        await place.primary.succeed("addUser", **input, validateOnly=True)
        await place.primary.succeed("addUser", **input | {"role": "SECONDARY_CONTACT"}, validateOnly=True)
    payload = await place.primary.succeed("addUser", "membership { id }", **input)
    async with world.unchanged():
        # What was done is answered again, whether it is tried or sent.
        for rest in ({}, {"validateOnly": True}):
            assert await place.primary.succeed("addUser", "membership { id }", **input, **rest) == payload
        refusal = await place.primary.refused(
            "addUser", **input | {"role": "SECONDARY_CONTACT"}, validateOnly=True
        )
    assert refusal == [("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")]


async def test_a_repeated_act_whose_thing_is_gone_answers_with_null(world: World) -> None:
    place, key = await world.site(), new_key()
    input = form(place, newcomer()) | {"idempotencyKey": key}
    selection = "membership { id } accessRequest { id } site { id }"
    first = await place.primary.succeed("addUser", selection, **input)
    await place.primary.succeed("removeMembership", membershipId=first["membership"]["id"])
    async with world.unchanged():
        second = await place.primary.succeed("addUser", selection, **input)
    assert second == {"membership": None, "accessRequest": None, "site": {"id": place.id}, "errors": []}


async def test_a_repeated_act_shows_what_the_caller_may_see_now(world: World) -> None:
    place, key = await world.site(), new_key()
    manager, membership_id = await world.secondary(place, manage_access="UPDATE")
    input = form(place, newcomer()) | {"idempotencyKey": key}
    first = await manager.succeed("addUser", "membership { id } site { id }", **input)
    assert first["membership"] and first["site"]
    await place.primary.succeed("removeMembership", membershipId=membership_id)
    async with world.unchanged():
        second = await manager.succeed("addUser", "membership { id } site { id }", **input)
    assert second == {"membership": None, "site": None, "errors": []}


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("", "REQUIRED"),
        (" \n ", "REQUIRED"),
        ("x" * 101, "TOO_LONG"),
        ("é" * 101, "TOO_LONG"),
        ("a\x00b", "FORBIDDEN_CHARACTERS"),
        ("a\nb", "FORBIDDEN_CHARACTERS"),
        ("\ud800", "FORBIDDEN_CHARACTERS"),
        ("\u202eabc", "FORBIDDEN_CHARACTERS"),
    ],
)
async def test_what_cannot_be_a_key(world: World, key: str, code: str) -> None:
    place = await world.site()
    for rest in ({}, {"validateOnly": True}):
        refusal = await place.primary.refused(
            "confirmContactReview", siteId=place.id, idempotencyKey=key, **rest
        )
        assert refusal == [(code, "idempotencyKey")]


@pytest.mark.parametrize("key", ["x" * 100, "𝒳" * 100, "'\"%s\\", " a" + " " * 50_000])
async def test_what_can_be_a_key(world: World, key: str) -> None:
    place = await world.site()
    for _ in range(2):
        await place.primary.succeed("confirmContactReview", siteId=place.id, idempotencyKey=key)
    assert (await events(world, place)).count("CONTACTS_REVIEWED") == 1
    assert [kept.key for kept in await keys_of(world, place.primary)] == [key.strip()]


async def test_whoever_waits_for_an_act_that_fails_does_it(world: World) -> None:
    """Somebody else holds the key in a transaction that is taken back: the act that waited is done, not repeated."""
    place, key = await world.site(), new_key()
    async with world.database.connect() as connection:
        holding = sa.insert(IdempotencyKey).values(
            user_id=place.primary.user_id, key=key, mutation="confirmContactReview", digest=b""
        )
        await connection.execute(holding)
        waiting = asyncio.create_task(
            place.primary.succeed("confirmContactReview", siteId=place.id, idempotencyKey=key)
        )
        await somebody_waits(world)
        assert not waiting.done()
        await connection.rollback()
    await waiting
    assert await events(world, place) == ["CONTACTS_REVIEWED"]


async def test_whoever_waits_for_another_act_with_the_key_is_refused(world: World) -> None:
    place, key = await world.site(), new_key()
    async with world.database.connect() as connection:
        holding = sa.insert(IdempotencyKey).values(
            user_id=place.primary.user_id, key=key, mutation="confirmContactReview", digest=b"another"
        )
        await connection.execute(holding)
        waiting = asyncio.create_task(
            place.primary.do("confirmContactReview", siteId=place.id, idempotencyKey=key)
        )
        await somebody_waits(world)
        await connection.commit()
    assert [error["code"] for error in (await waiting)["errors"]] == ["IDEMPOTENCY_KEY_REUSED"]
    assert await events(world, place) == []


async def somebody_waits(world: World) -> None:
    """Until somebody waits for the end of another's transaction."""
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted")
    async with asyncio.timeout(30), world.database.connect() as connection:
        while not await connection.scalar(waiting):
            pass


async def test_two_acts_of_one_document_with_the_same_key_are_one(world: World) -> None:
    place, key = await world.site(), new_key()
    kind = document("confirmContactReview").partition(" {")[0]
    field = "confirmContactReview(input: $input) { site { id } errors { code } }"
    answer = await place.primary.ask(
        f"{kind} {{ a: {field} b: {field} }}", input={"siteId": place.id, "idempotencyKey": key}
    )
    assert answer["a"] == answer["b"] == {"site": {"id": place.id}, "errors": []}
    assert await events(world, place) == ["CONTACTS_REVIEWED"]


async def test_a_form_of_contacts_can_be_sent_twice(world: World) -> None:
    place, key = await world.site(), new_key()
    input = {"siteId": place.id, **CONTACT, "idempotencyKey": key}
    first = await place.primary.succeed("createContact", "contact { id } site { contacts { id } }", **input)
    second = await place.primary.succeed("createContact", "contact { id } site { contacts { id } }", **input)
    assert first == second
    assert len(second["site"]["contacts"]) == 2


async def test_the_refusal_in_french(world: World) -> None:
    place, key = await world.site(), new_key()
    await place.primary.succeed("confirmContactReview", siteId=place.id, idempotencyKey=key)
    payload = await place.primary.do(
        "createCalendarSubscription", "", "fr", siteId=place.id, idempotencyKey=key
    )
    assert payload["errors"][0]["message"].startswith("Cette clé")
