"""The database has the last word: every invariant, attacked past the application, with the server's own rights."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from app.db.base import Base
from app.db.engine import async_url
from app.db.models import AccessRequest, Membership, Site, User
from app.db.nominations import Nomination
from app.rules import (
    AccessRequestKind,
    AccessRequestState,
    ContactType,
    DenialReason,
    NominationState,
    Role,
    UpdateLevel,
    no_levels,
)
from tests.world import Person, Place, World, ago, contact_row

NO_LEVELS = no_levels()
NOTHING = ", ".join(f"{name} = 'NONE'" for name in NO_LEVELS)
TO_USER = f"role = 'USER', seat = NULL, {NOTHING}"
TO_SECONDARY = f"role = 'SECONDARY_CONTACT', seat = 4, {NOTHING}"
TO_PRIMARY = "role = 'PRIMARY_CONTACT', seat = NULL, " + ", ".join(f"{name} = NULL" for name in NO_LEVELS)
GRANTED: dict[str, Any] = {"state": AccessRequestState.GRANTED, "granted_role": Role.USER}
DENIED: dict[str, Any] = {"state": AccessRequestState.DENIED, "denial_reason": DenialReason.UNKNOWN_REQUESTER}


@pytest.fixture(scope="module")
async def owner(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The shared database with the rights of its owner."""
    engine = create_async_engine(async_url(database_url), poolclass=NullPool)
    yield engine
    await engine.dispose()


async def stopped(engine: AsyncEngine, *statements: str, **values: Any) -> str:
    """The name of the constraint that stops these statements while they run."""
    async with engine.connect() as connection:
        with pytest.raises(IntegrityError) as caught:
            for statement in statements:
                await connection.execute(text(statement), values)
    return constraint(caught.value)


async def stopped_at_commit(engine: AsyncEngine, *statements: str, **values: Any) -> str:
    """The name of the constraint that lets these statements pass, but not their transaction."""
    async with engine.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement), values)
        with pytest.raises(IntegrityError) as caught:
            await connection.commit()
    return constraint(caught.value)


async def stopped_row(world: World, *rows: Base) -> str:
    """The name of the constraint that stops these rows."""
    with pytest.raises(IntegrityError) as caught:
        await world.add(*rows)
    return constraint(caught.value)


def constraint(error: DBAPIError) -> str:
    assert error.orig is not None
    return str(getattr(error.orig.__cause__, "constraint_name", None))


def membership(place: Place, person: Person, role: Role = Role.USER, **values: Any) -> Membership:
    return Membership(site_id=place.site_id, user_id=person.user_id, role=role, **NO_LEVELS | values)


async def test_second_primary_contact(world: World, database: AsyncEngine) -> None:
    place, person = await world.site(), await world.person()
    second = Membership(site_id=place.site_id, user_id=person.user_id, role=Role.PRIMARY_CONTACT)
    assert await stopped_row(world, second) == "uq_membership_primary_contact"
    await world.member(place)
    promotion = f"UPDATE membership SET {TO_PRIMARY} WHERE site_id = :site AND role = 'USER'"
    assert await stopped(database, promotion, site=place.site_id) == "uq_membership_primary_contact"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM membership WHERE site_id = :site AND role = 'PRIMARY_CONTACT'",
        f"UPDATE membership SET {TO_USER} WHERE site_id = :site AND role = 'PRIMARY_CONTACT'",
        f"UPDATE membership SET {TO_SECONDARY} WHERE site_id = :site AND role = 'PRIMARY_CONTACT'",
        "UPDATE site SET primary_membership_id = :user WHERE id = :site",
        "UPDATE site SET primary_membership_id = :elsewhere WHERE id = :site",
        "UPDATE site SET primary_membership_id = gen_random_uuid() WHERE id = :site",
    ],
    ids=["delete", "user", "secondary", "point at a user", "point at another site's", "point at nothing"],
)
async def test_site_without_primary_contact(world: World, database: AsyncEngine, statement: str) -> None:
    place, other = await world.site(), await world.site()
    await world.member(place)
    ids = await membership_ids(world, place) | {"elsewhere": (await membership_ids(world, other))["primary"]}
    assert await stopped_at_commit(database, statement, **ids) == "fk_site_primary_membership"


async def membership_ids(world: World, place: Place) -> dict[str, UUID]:
    """The site, its primary contact's membership, and its only user's where there is one."""
    rows = await world.rows(Membership, Membership.site_id == place.site_id)
    by_role = {"primary" if row.role is Role.PRIMARY_CONTACT else "user": row.id for row in rows}
    return {"site": place.site_id, **by_role}


async def test_new_site_without_primary_contact(world: World) -> None:
    site = Site(number=uuid4().hex.upper(), name="Site", primary_membership_id=uuid4())
    assert await stopped_row(world, site) == "fk_site_primary_membership"


async def test_hand_over_in_one_transaction_passes(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    await world.member(place)
    ids = await membership_ids(world, place)
    async with database.begin() as connection:
        for statement in (
            f"UPDATE membership SET {TO_USER} WHERE id = :primary AND site_id = :site",
            f"UPDATE membership SET {TO_PRIMARY} WHERE id = :user AND site_id = :site",
            "UPDATE site SET primary_membership_id = :user WHERE id = :site",
        ):
            await connection.execute(text(statement), ids)


@pytest.mark.parametrize(
    ("role", "seat", "name"),
    [
        (Role.SECONDARY_CONTACT, 5, "ck_membership_seat_exists"),
        (Role.SECONDARY_CONTACT, 0, "ck_membership_seat_exists"),
        (Role.SECONDARY_CONTACT, None, "ck_membership_seat_is_for_secondary_contacts"),
        (Role.USER, 4, "ck_membership_seat_is_for_secondary_contacts"),
        *((Role.SECONDARY_CONTACT, seat, "uq_membership_site_id_seat") for seat in (1, 2, 3, 4)),
    ],
)
async def test_fifth_secondary_contact(world: World, role: Role, seat: int | None, name: str) -> None:
    place, person = await world.site(), await world.person()
    for taken in range(1, 5 if name.startswith("uq") else 4):
        await world.secondary(place, seat=taken)
    assert await stopped_row(world, membership(place, person, role, seat=seat)) == name


async def test_second_membership_of_one_person(world: World) -> None:
    place = await world.site()
    person, _ = await world.member(place)
    assert await stopped_row(world, membership(place, person)) == "uq_membership_site_id_user_id"


@pytest.mark.parametrize("name", ["manage_access", "contact_updates"])
@pytest.mark.parametrize("level", [UpdateLevel.VIEW, UpdateLevel.UPDATE])
async def test_level_for_secondary_contacts_only(world: World, name: str, level: UpdateLevel) -> None:
    place, person = await world.site(), await world.person()
    row = membership(place, person, **{name: level})
    assert await stopped_row(world, row) == "ck_membership_levels_fit_the_role"


@pytest.mark.parametrize("role", [Role.USER, Role.SECONDARY_CONTACT])
@pytest.mark.parametrize("name", NO_LEVELS)
async def test_member_without_a_level(world: World, role: Role, name: str) -> None:
    place, person = await world.site(), await world.person()
    seat = 1 if role is Role.SECONDARY_CONTACT else None
    row = membership(place, person, role, seat=seat, **{name: None})
    assert await stopped_row(world, row) == "ck_membership_levels_are_stored_but_for_the_primary_contact"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        *(
            (f"{level} = 'NONE'", "ck_membership_levels_are_stored_but_for_the_primary_contact")
            for level in NO_LEVELS
        ),
        ("ends_at = now() + interval '1 year'", "ck_membership_primary_contact_does_not_end"),
        ("seat = 1", "ck_membership_seat_is_for_secondary_contacts"),
    ],
)
async def test_primary_contact_holds_everything_for_ever(
    world: World, database: AsyncEngine, change: str, name: str
) -> None:
    place = await world.site()
    statement = f"UPDATE membership SET {change} WHERE site_id = :site AND role = 'PRIMARY_CONTACT'"
    assert await stopped(database, statement, site=place.site_id) == name


def request(place: Place, person: Person, **values: Any) -> AccessRequest:
    kept = {"site_id": place.site_id, "site_number": place.number, "requester_id": person.user_id}
    return AccessRequest(**kept | values)


async def test_second_pending_request(world: World) -> None:
    place = await world.site()
    person, _ = await world.request(place)
    assert await stopped_row(world, request(place, person)) == "uq_access_request_pending"
    number = uuid4().hex.upper()
    two = [AccessRequest(site_number=number, requester_id=person.user_id) for _ in range(2)]
    assert await stopped_row(world, *two) == "uq_access_request_pending"


async def test_request_with_a_number_that_is_not_the_sites(world: World) -> None:
    place, person = await world.site(), await world.person()
    row = request(place, person, site_number=uuid4().hex.upper())
    assert await stopped_row(world, row) == "fk_access_request_site_id_site_number"


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({**GRANTED, "decided_by_id": None}, "decision_has_a_decider"),
        ({**DENIED, "decided_by_id": None}, "decision_has_a_decider"),
        ({"state": AccessRequestState.WITHDRAWN}, "decision_has_a_decider"),
        ({"state": AccessRequestState.EXPIRED}, "decision_has_a_decider"),
        ({"closed_at": None}, "decision_has_a_decider"),
        ({**GRANTED, "closed_at": None}, "closed_has_a_date"),
        ({**DENIED, "closed_at": None}, "closed_has_a_date"),
        ({**DENIED, "denial_reason": None}, "denial_has_a_reason"),
        ({**GRANTED, "denial_reason": DenialReason.ACCESS_NOT_NECESSARY}, "denial_has_a_reason"),
        ({**GRANTED, "granted_role": None}, "grant_has_a_role"),
        ({**DENIED, "granted_role": Role.USER}, "grant_has_a_role"),
        ({**GRANTED, "granted_role": Role.PRIMARY_CONTACT}, "never_grants_the_primary_contact"),
        ({**GRANTED, "site_id": None}, "decision_has_a_site"),
        ({**DENIED, "site_id": None}, "decision_has_a_site"),
    ],
)
async def test_decision_that_is_not_whole(world: World, values: dict[str, Any], name: str) -> None:
    place, person = await world.site(), await world.person()
    whole = {"decided_by_id": place.primary.user_id, "closed_at": ago(seconds=0)}
    assert await stopped_row(world, request(place, person, **whole | values)) == f"ck_access_request_{name}"


@pytest.mark.parametrize("decision", [GRANTED, DENIED], ids=["granted", "denied"])
async def test_requester_decides(world: World, decision: dict[str, Any]) -> None:
    place, person = await world.site(), await world.person()
    row = request(place, person, decided_by_id=person.user_id, closed_at=ago(seconds=0), **decision)
    assert await stopped_row(world, row) == "ck_access_request_never_decided_by_the_requester"


CLOSINGS = {
    "granted": "state = 'GRANTED', granted_role = 'USER', decided_by_id = :decider",
    "denied": "state = 'DENIED', denial_reason = 'UNKNOWN_REQUESTER', decided_by_id = :decider",
    "withdrawn": "state = 'WITHDRAWN'",
    "expired": "state = 'EXPIRED'",
}


@pytest.mark.parametrize("closing", CLOSINGS)
async def test_closed_request_is_frozen(
    world: World, database: AsyncEngine, owner: AsyncEngine, closing: str
) -> None:
    place = await world.site()
    requester, _ = await world.request(place)
    values = {"requester": requester.user_id, "decider": place.primary.user_id}
    close = (
        f"UPDATE access_request SET {CLOSINGS[closing]}, closed_at = now() WHERE requester_id = :requester"
    )
    async with database.begin() as connection:
        await connection.execute(text(close), values)
    for change in ("justification = 'better'", "state = 'PENDING', closed_at = NULL"):
        statement = f"UPDATE access_request SET {change} WHERE requester_id = :requester"
        assert await stopped(database, statement, **values) == "access_request_is_closed"
    deletion = "DELETE FROM access_request WHERE requester_id = :requester"
    assert await stopped(owner, deletion, **values) == "access_request_is_closed"


PRIMARY = [ContactType.PRIMARY]


async def test_two_primary_contact_records(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    second = contact_row(place.site_id, uuid4(), types=PRIMARY)
    assert await stopped_row(world, second) == "uq_contact_primary"
    await world.contact(place, [ContactType.BILLING])
    raising = "UPDATE contact SET types = '{PRIMARY}' WHERE site_id = :site"
    assert await stopped(database, raising, site=place.site_id) == "uq_contact_primary"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM contact WHERE site_id = :site",
        "DELETE FROM contact WHERE site_id = :site AND 'PRIMARY' = ANY (types)",
        "UPDATE contact SET types = '{BILLING}' WHERE site_id = :site",
        "UPDATE contact SET site_id = :other, types = '{BILLING}' WHERE site_id = :site",
    ],
    ids=["delete all", "delete", "drop the type", "move to another site"],
)
async def test_no_primary_contact_record(world: World, database: AsyncEngine, statement: str) -> None:
    place, other = await world.site(), await world.site()
    await world.contact(place, [ContactType.BILLING])
    values = {"site": place.site_id, "other": other.site_id}
    assert await stopped_at_commit(database, statement, **values) == "site_has_primary_contact_record"


async def test_new_site_without_primary_contact_record(world: World) -> None:
    primary, site_id, membership_id = await world.person(), uuid4(), uuid4()
    site = Site(id=site_id, number=uuid4().hex.upper(), name="Site", primary_membership_id=membership_id)
    holder = Membership(id=membership_id, site_id=site_id, user_id=primary.user_id, role=Role.PRIMARY_CONTACT)
    assert await stopped_row(world, site, holder) == "site_has_primary_contact_record"


BILLING = ContactType.BILLING


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"types": []}, "ck_contact_has_a_type"),
        ({"types": [BILLING, BILLING]}, "ck_contact_types_differ"),
        ({"types": [BILLING, None]}, "ck_contact_types_differ"),
        *(
            ({"country": code}, "ck_contact_country_is_a_code")
            for code in ("fr", "FRA", "F", "", "F1", "FR\n")
        ),
    ],
)
async def test_contact_that_makes_no_sense(world: World, values: dict[str, Any], name: str) -> None:
    place = await world.site()
    row = contact_row(place.site_id, uuid4(), **{"types": [BILLING]} | values)
    assert await stopped_row(world, row) == name


@pytest.mark.parametrize("change", [str.upper, str.capitalize, str.swapcase])
async def test_ibm_id_is_unique_without_regard_to_case(world: World, change: Any) -> None:
    ibm_id = f"élodie-{uuid4().hex}@example.com"
    one, other = (
        User(ibm_id=value, email="e@example.com", sort_name="e") for value in (ibm_id, change(ibm_id))
    )
    assert await stopped_row(world, one, other) == "uq_user_ibm_id"


async def test_identity_is_whole_and_of_one_person(world: World) -> None:
    def user(**identity: Any) -> User:
        return User(ibm_id=uuid4().hex, email="e@example.com", sort_name="e", **identity)

    subject = uuid4().hex
    assert await stopped_row(world, user(subject=subject)) == "ck_user_identity_is_whole"
    assert await stopped_row(world, user(issuer="issuer")) == "ck_user_identity_is_whole"
    two = [user(issuer="issuer", subject=subject) for _ in range(2)]
    assert await stopped_row(world, *two) == "uq_user_identity"


def nomination(place: Place, nominee: Person, key: UUID | None, **values: Any) -> Nomination:
    kept = {
        "site_id": place.site_id,
        "user_id": nominee.user_id,
        "membership_id": key,
        "nominated_by_id": place.primary.user_id,
        "justification": "Knows the site",
        "expires_at": ago(days=-14),
    }
    return Nomination(**kept | values)


async def member_key(world: World, person: Person) -> UUID:
    (row,) = await world.rows(Membership, Membership.user_id == person.user_id)
    key: UUID = row.id
    return key


async def test_second_pending_nomination(world: World) -> None:
    place = await world.site()
    person, membership_id = await world.member(place)
    await world.nomination(place, membership_id)
    other, _ = await world.member(place)
    row = nomination(place, other, await member_key(world, other))
    assert await stopped_row(world, row) == "uq_nomination_pending"
    closed = nomination(place, person, None, state=NominationState.DECLINED, closed_at=ago(days=1))
    await world.add(closed)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"closed_at": ago(days=1)}, "closed_has_a_date"),
        ({"state": NominationState.DECLINED}, "closed_has_a_date"),
        ({"state": NominationState.DECLINED, "closed_at": ago(days=1)}, "nominee_is_a_member"),
        ({"membership_id": None}, "nominee_is_a_member"),
        ({"expires_at": ago(days=1)}, "expires_after_it_was_made"),
    ],
)
async def test_nomination_that_is_not_whole(world: World, values: dict[str, Any], name: str) -> None:
    place = await world.site()
    person, _ = await world.member(place)
    row = nomination(place, person, await member_key(world, person), **values)
    assert await stopped_row(world, row) == f"ck_nomination_{name}"


async def test_nominee_who_nominates_themselves_or_is_no_member(world: World) -> None:
    place, other = await world.site(), await world.site()
    own = nomination(place, place.primary, await member_key(world, place.primary))
    assert await stopped_row(world, own) == "ck_nomination_nominee_is_somebody_else"
    person, _ = await world.member(other)
    elsewhere = nomination(place, person, await member_key(world, person))
    assert await stopped_row(world, elsewhere) == "fk_nomination_site_id_membership_id"


async def test_nominee_is_not_removed_while_nominated(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    person, membership_id = await world.member(place)
    await world.nomination(place, membership_id)
    removal = "DELETE FROM membership WHERE user_id = :user"
    name = await stopped(database, removal, user=person.user_id)
    assert name == "fk_nomination_site_id_membership_id"


@pytest.mark.parametrize("state", ["ACCEPTED", "DECLINED", "CANCELLED", "EXPIRED"])
async def test_closed_nomination_is_frozen(
    world: World, database: AsyncEngine, owner: AsyncEngine, state: str
) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    await world.nomination(place, membership_id)
    values = {"site": place.site_id}
    close = f"UPDATE nomination SET state = '{state}', closed_at = now(), membership_id = NULL WHERE site_id = :site"
    async with database.begin() as connection:
        await connection.execute(text(close), values)
    for change in ("justification = 'better'", "state = 'CANCELLED'", "closed_at = now()"):
        statement = f"UPDATE nomination SET {change} WHERE site_id = :site"
        assert await stopped(database, statement, **values) == "nomination_is_closed"
    deletion = "DELETE FROM nomination WHERE site_id = :site"
    assert await stopped(owner, deletion, **values) == "nomination_is_closed"


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"kind": AccessRequestKind.EXTENSION}, "extension_has_an_end"),
        ({"requested_ends_at": ago(days=-1)}, "extension_has_an_end"),
        ({"requested_role": Role.SECONDARY_CONTACT}, "requested_role_is_higher"),
        (
            {"kind": AccessRequestKind.HIGHER_LEVEL, "requested_role": Role.PRIMARY_CONTACT},
            "requested_role_is_higher",
        ),
        ({"kind": AccessRequestKind.HIGHER_LEVEL, "requested_role": Role.USER}, "requested_role_is_higher"),
        ({"kind": AccessRequestKind.HIGHER_LEVEL, "site_id": None}, "request_of_a_member_has_a_site"),
    ],
)
async def test_request_that_does_not_fit_its_kind(world: World, values: dict[str, Any], name: str) -> None:
    place, person = await world.site(), await world.person()
    assert await stopped_row(world, request(place, person, **values)) == f"ck_access_request_{name}"
