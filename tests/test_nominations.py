"""The hand-over of the primary contact: nominated, cancelled, accepted, declined, by who may, and what it changes."""

from typing import Any
from uuid import uuid4

import pytest

from app.db.models import Contact, Membership, Site, User
from app.db.nominations import Nomination
from app.query.ids import parse_id, write_id
from app.rules import PRIVILEGES, NominationState, Role, UpdateLevel, ViewLevel
from tests.access import LEVELS, full_site
from tests.test_history import changed, summary, tell
from tests.world import UPDATE, VIEW, Person, Place, World, ago

NOMINATION = """nomination { id state justification expiresAt createdAt closedAt nominee { id } nominatedBy { id }
  membership { id role } site { number } }"""
PENDING = f"query($id: ID!) {{ site(id: $id) {{ {NOMINATION} }} viewer {{ nominations {{ id }} }} }}"
BY_ID = (
    "query($id: ID!) { node(id: $id) { ... on Nomination { id state nominee { name } membership { id } } } }"
)
HIGHEST = {
    "purchaseAndDownload": "SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS",
    "reporting": "VIEW",
    "entitlementInventory": "UPDATE",
    "entitlementAllocations": "UPDATE",
    "accountManagement": {"manageAccess": "UPDATE", "contactUpdates": "UPDATE", "accountDocuments": "VIEW"},
}
KEPT = HIGHEST | {
    "accountManagement": {"manageAccess": "NONE", "contactUpdates": "NONE", "accountDocuments": "VIEW"}
}
ANSWERS = ["acceptNomination", "declineNomination"]
CLOSED: list[dict[str, Any]] = [
    {"state": state, "closed_at": ago(days=1)}
    for state in NominationState
    if state is not NominationState.PENDING
]
LATE = {"created_at": ago(days=15), "expires_at": ago(days=1)}


async def nominate(place: Place, membership_id: str, **input: Any) -> str:
    """The id of a new nomination."""
    values = {"siteId": place.id, "membershipId": membership_id, "justification": "Knows the site"} | input
    payload = await place.primary.succeed("nominatePrimaryContact", "nomination { id }", **values)
    id: str = payload["nomination"]["id"]
    return id


async def nomination_rows(world: World, place: Place) -> list[Nomination]:
    return await world.rows(Nomination, Nomination.site_id == place.site_id)


async def member_rows(world: World, place: Place) -> dict[Any, Membership]:
    """The memberships of a site by their user."""
    rows = await world.rows(Membership, Membership.site_id == place.site_id)
    return {row.user_id: row for row in rows}


async def primary_of(world: World, place: Place) -> Any:
    """The user who is primary contact, after the memberships and after the site."""
    (site,) = await world.rows(Site, Site.id == place.site_id)
    (row,) = [row for row in (await member_rows(world, place)).values() if row.role is Role.PRIMARY_CONTACT]
    assert row.id == site.primary_membership_id
    return row.user_id


async def test_a_nomination_changes_nothing_and_waits_fourteen_days(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    payload = await place.primary.succeed(
        "nominatePrimaryContact",
        f"{NOMINATION} site {{ nomination {{ state }} }}",
        siteId=place.id,
        membershipId=membership_id,
        justification=" I retire ",
    )
    made = payload["nomination"]
    assert (made["state"], made["justification"], made["closedAt"]) == ("PENDING", "I retire", None)
    assert (made["nominee"], made["nominatedBy"]) == ({"id": nominee.id}, {"id": place.primary.id})
    assert made["membership"] == {"id": membership_id, "role": "USER"}
    assert made["site"] == {"number": place.number}
    assert ago(days=-14, minutes=1).isoformat() < made["expiresAt"] < ago(days=-14).isoformat()
    assert payload["site"] == {"nomination": {"state": "PENDING"}}
    assert await primary_of(world, place) == place.primary.user_id


@pytest.mark.parametrize(
    ("who", "site", "node"),
    [
        ("primary", True, True),
        ("manage_access=UPDATE", True, True),
        ("manage_access=VIEW", True, True),
        ("manage_access=NONE", False, False),
        ("contact_updates=UPDATE", False, False),
        ("user", False, False),
        ("ended", False, False),
        ("stranger", False, False),
    ],
)
async def test_who_sees_a_nomination(world: World, who: str, site: bool, node: bool) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    nominee, membership_id = await world.member(place)
    nomination_id = await nominate(place, membership_id)
    seen = await caller.ask(PENDING, id=place.id)
    assert bool(seen["site"] and seen["site"]["nomination"]) is site
    assert seen["viewer"]["nominations"] == []
    found = (await caller.ask(BY_ID, id=nomination_id))["node"]
    assert (found is not None) is node
    assert not found or found["nominee"] == {"name": nominee.ibm_id}


async def test_the_nominee_sees_it_with_who_nominated(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    nomination_id = await nominate(place, membership_id)
    seen = await nominee.ask(PENDING, id=place.id)
    assert seen["site"]["nomination"]["nominatedBy"] == {"id": place.primary.id}
    assert seen["site"]["nomination"]["nominee"] == {"id": nominee.id}
    assert seen["viewer"]["nominations"] == [{"id": nomination_id}]


@pytest.mark.parametrize("ended", [*CLOSED, LATE])
async def test_what_is_not_pending_is_found_by_its_id_only(world: World, ended: dict[str, Any]) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    nomination_id = await world.nomination(place, membership_id, **ended)
    for person in (place.primary, nominee):
        seen = await person.ask(PENDING, id=place.id)
        assert (seen["site"]["nomination"], seen["viewer"]["nominations"]) == (None, [])
        state = (await person.ask(BY_ID, id=nomination_id))["node"]["state"]
        assert state == (ended["state"].name if "state" in ended else "EXPIRED")


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("manage_access=UPDATE", "FORBIDDEN"),
        ("contact_updates=UPDATE", "FORBIDDEN"),
        ("user", "FORBIDDEN"),
        ("ended", "NOT_FOUND"),
        ("stranger", "NOT_FOUND"),
    ],
)
async def test_only_the_primary_contact_nominates(world: World, who: str, code: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    _, membership_id = await world.member(place)
    refusal = await caller.refused(
        "nominatePrimaryContact", siteId=place.id, membershipId=membership_id, justification="Me"
    )
    assert refusal == [(code, "siteId")]


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("manage_access=UPDATE", "FORBIDDEN"),
        ("manage_access=VIEW", "FORBIDDEN"),
        ("manage_access=NONE", "NOT_FOUND"),
        ("user", "NOT_FOUND"),
        ("ended", "NOT_FOUND"),
        ("stranger", "NOT_FOUND"),
    ],
)
@pytest.mark.parametrize("mutation", ["cancelNomination", *ANSWERS])
async def test_nobody_else_ends_a_nomination(world: World, who: str, code: str, mutation: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    nomination_id = await nominate(place, (await world.member(place))[1])
    assert await caller.refused(mutation, nominationId=nomination_id) == [(code, "nominationId")]


async def test_neither_does_the_primary_contact_answer_nor_the_nominee_cancel(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    nomination_id = await nominate(place, membership_id)
    for mutation in ANSWERS:
        refusal = await place.primary.refused(mutation, nominationId=nomination_id)
        assert refusal == [("FORBIDDEN", "nominationId")]
    refusal = await nominee.refused("cancelNomination", nominationId=nomination_id)
    assert refusal == [("FORBIDDEN", "nominationId")]
    (error,) = (await place.primary.do("acceptNomination", nominationId=nomination_id))["errors"]
    assert error["message"] == "This belongs to somebody else."


async def test_whose_access_has_ended_does_not_answer(world: World) -> None:
    """Also where the nomination itself would still be open, which takes two clocks to happen."""
    place = await world.site()
    nominee, membership_id = await world.member(place, ends_at=ago(seconds=1))
    nomination_id = await world.nomination(place, membership_id)
    for mutation in ANSWERS:
        assert await nominee.refused(mutation, nominationId=nomination_id) == [("FORBIDDEN", "nominationId")]


@pytest.mark.parametrize("justification", ["", "  ", "x" * 2001, "\x00"])
async def test_a_nomination_needs_a_reason_that_can_be_read(world: World, justification: str) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    ((_, path),) = await place.primary.refused(
        "nominatePrimaryContact", siteId=place.id, membershipId=membership_id, justification=justification
    )
    assert path == "justification"


async def test_who_cannot_be_nominated(world: World) -> None:
    place, other = await world.site(), await world.site()
    rows = await member_rows(world, place)
    _, ended = await world.member(place, ends_at=ago(minutes=1))
    _, elsewhere = await world.member(other)
    # Even when the primary contact of this site sees the other one, too.
    await world.secondary(other, person=place.primary, manage_access=UPDATE)
    own = write_id("membership", rows[place.primary.user_id].id)
    cases = {
        ended: "MEMBERSHIP_ENDED",
        own: "ALREADY_PRIMARY_CONTACT",
        elsewhere: "NOT_FOUND",
        f"membership_{uuid4().hex}": "NOT_FOUND",
        place.id: "WRONG_ID_KIND",
        "nonsense": "WRONG_ID_KIND",
    }
    for id, code in cases.items():
        refusal = await place.primary.refused(
            "nominatePrimaryContact", siteId=place.id, membershipId=id, justification="Knows the site"
        )
        assert refusal == [(code, "membershipId")], id


async def test_one_nomination_at_a_time(world: World) -> None:
    place = await world.site()
    nomination_id = await nominate(place, (await world.member(place))[1])
    _, other = await world.member(place)
    input = {"siteId": place.id, "membershipId": other, "justification": "Better"}
    refusal = await place.primary.refused("nominatePrimaryContact", **input)
    assert refusal == [("NOMINATION_PENDING", "membershipId")]
    await place.primary.succeed("cancelNomination", nominationId=nomination_id)
    await nominate(place, other)


async def test_one_that_has_expired_makes_room_and_is_written_down(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    late = await world.nomination(place, membership_id, **LATE)
    await nominate(place, membership_id)
    expired, nominated = [tell(event) for event in await world.events(place)]
    assert summary([expired, nominated]) == [
        ("NOMINATION_EXPIRED", place.primary.ibm_id, nominee.ibm_id),
        ("PRIMARY_CONTACT_NOMINATED", place.primary.ibm_id, nominee.ibm_id),
    ]
    assert expired.changed["state"] == ("PENDING", "EXPIRED")
    assert nominated.justification == "Knows the site"
    (row,) = await world.rows(Nomination, Nomination.id == parse_id(late)[1])  # type: ignore[index]
    assert row.closed_at == row.expires_at


async def test_it_lasts_no_longer_than_the_nominees_access(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place, ends_at=ago(days=-3))
    await nominate(place, membership_id)
    (row,) = await nomination_rows(world, place)
    (member,) = await world.rows(Membership, Membership.id == row.membership_id)
    assert row.expires_at == member.ends_at


@pytest.mark.parametrize("ended", [*CLOSED, LATE])
@pytest.mark.parametrize("mutation", ["cancelNomination", *ANSWERS])
async def test_what_is_closed_stays_so(world: World, ended: dict[str, Any], mutation: str) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    nomination_id = await world.nomination(place, membership_id, **ended)
    caller = place.primary if mutation == "cancelNomination" else nominee
    refusal = await caller.refused(mutation, nominationId=nomination_id)
    assert refusal == [("NOMINATION_CLOSED", "nominationId")]


@pytest.mark.parametrize(
    ("mutation", "state"), [("cancelNomination", "CANCELLED"), ("declineNomination", "DECLINED")]
)
async def test_cancelling_and_declining_change_nothing_else(world: World, mutation: str, state: str) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    nomination_id = await nominate(place, membership_id)
    caller = place.primary if mutation == "cancelNomination" else nominee
    payload = await caller.succeed(
        mutation, f"{NOMINATION} site {{ nomination {{ id }} }}", nominationId=nomination_id
    )
    assert (payload["nomination"]["state"], payload["nomination"]["membership"]) == (state, None)
    assert payload["nomination"]["closedAt"] is not None
    assert payload["site"] == {"nomination": None}
    assert await primary_of(world, place) == place.primary.user_id
    _, closed = await world.events(place)
    assert summary([tell(closed)]) == [(f"NOMINATION_{state}", caller.ibm_id, nominee.ibm_id)]
    assert changed(closed) == {
        "state": ("PENDING", state),
        "membership_id": (str(parse_id(membership_id)[1]), None),  # type: ignore[index]
    }


ACCEPTED = f"""{NOMINATION} membership {{ id role endsAt privileges {{ {LEVELS} }} effectivePrivileges {{ {LEVELS} }} }}
  site {{ remainingSecondaryContactSeats nomination {{ id }} memberships {{ totalCount }} }}"""


@pytest.mark.parametrize("role", [Role.USER, Role.SECONDARY_CONTACT], ids=lambda role: role.name)
async def test_accepting_hands_everything_over(world: World, role: Role) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(
        place, role, ends_at=ago(days=-30), reporting=ViewLevel.VIEW, justification="Known"
    )
    nomination_id = await nominate(place, membership_id)
    payload = await nominee.succeed("acceptNomination", ACCEPTED, nominationId=nomination_id)
    assert payload["nomination"]["state"] == "ACCEPTED"
    assert payload["membership"] == {
        "id": membership_id,
        "role": "PRIMARY_CONTACT",
        "endsAt": None,
        "privileges": HIGHEST,
        "effectivePrivileges": HIGHEST,
    }
    assert payload["site"] == {
        "remainingSecondaryContactSeats": 3,
        "nomination": None,
        "memberships": {"totalCount": 2},
    }
    assert await primary_of(world, place) == nominee.user_id
    former = await own(place.primary, place)
    assert (former["role"], former["privileges"]) == ("SECONDARY_CONTACT", KEPT)
    (row,) = await nomination_rows(world, place)
    assert (row.state, row.membership_id) == (NominationState.ACCEPTED, None)


async def own(person: Person, place: Place) -> Any:
    document = (
        f"query($id: ID!) {{ site(id: $id) {{ viewerMembership {{ role privileges {{ {LEVELS} }} }} }} }}"
    )
    return (await person.ask(document, id=place.id))["site"]["viewerMembership"]


@pytest.mark.parametrize("nominee_has_a_seat", [True, False])
async def test_the_former_one_becomes_a_user_when_the_seats_are_taken(
    world: World, nominee_has_a_seat: bool
) -> None:
    place = await full_site(world)
    nominee, membership_id = await world.member(place)
    if nominee_has_a_seat:
        (row,) = await world.rows(Membership, Membership.site_id == place.site_id, Membership.seat == 3)
        membership_id = write_id("membership", row.id)
        (user,) = await world.rows(User, User.id == row.user_id)
        nominee = Person(world, user.ibm_id, user.id)
    await nominee.succeed("acceptNomination", nominationId=await nominate(place, membership_id))
    rows = await member_rows(world, place)
    former = rows[place.primary.user_id]
    assert await primary_of(world, place) == nominee.user_id
    assert sorted(row.seat for row in rows.values() if row.seat) == [1, 2, 3, 4]
    expected = (Role.SECONDARY_CONTACT, 3) if nominee_has_a_seat else (Role.USER, None)
    assert (former.role, former.seat) == expected
    assert (await own(place.primary, place))["privileges"] == KEPT


async def test_rights_change_hands_with_the_next_request(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    _, other = await world.member(place)
    nomination_id = await nominate(place, membership_id)
    act = {"membershipId": other, "privileges": {"reporting": "VIEW"}}
    assert await nominee.refused("updateMembership", **act) == [("NOT_FOUND", "membershipId")]
    await nominee.succeed("acceptNomination", nominationId=nomination_id)
    assert await place.primary.refused("updateMembership", **act) == [("NOT_FOUND", "membershipId")]
    await nominee.succeed("updateMembership", **act)
    assert await nominee.refused("leaveSite", siteId=place.id) == [("FORBIDDEN", "siteId")]
    account = {"accountManagement": {"manageAccess": "UPDATE"}}
    (former,) = [row for row in (await member_rows(world, place)).values() if row.seat]
    await nominee.succeed(
        "updateMembership", membershipId=write_id("membership", former.id), privileges=account
    )
    await place.primary.succeed("updateMembership", **act | {"privileges": {"reporting": "NONE"}})
    await place.primary.succeed("leaveSite", siteId=place.id)


async def test_the_contact_records_stay_as_they_are(world: World) -> None:
    place = await world.site()
    before = await world.rows(Contact, Contact.site_id == place.site_id)
    nominee, membership_id = await world.member(place)
    await nominee.succeed("acceptNomination", nominationId=await nominate(place, membership_id))
    after = await world.rows(Contact, Contact.site_id == place.site_id)
    assert [(row.id, row.types, row.email) for row in after] == [
        (row.id, row.types, row.email) for row in before
    ]


async def test_the_history_tells_of_a_hand_over(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.secondary(place, manage_access=VIEW)
    await nominee.succeed("acceptNomination", nominationId=await nominate(place, membership_id))
    (site,) = await world.rows(Site, Site.id == place.site_id)
    nominated, accepted, former, successor, handed_over = await world.events(place)
    assert summary([tell(e) for e in (nominated, accepted, former, successor, handed_over)]) == [
        ("PRIMARY_CONTACT_NOMINATED", place.primary.ibm_id, nominee.ibm_id),
        ("NOMINATION_ACCEPTED", nominee.ibm_id, nominee.ibm_id),
        ("MEMBERSHIP_UPDATED", nominee.ibm_id, place.primary.ibm_id),
        ("MEMBERSHIP_UPDATED", nominee.ibm_id, nominee.ibm_id),
        ("PRIMARY_CONTACT_HANDED_OVER", nominee.ibm_id, site.name),
    ]
    assert changed(former)["role"] == ("PRIMARY_CONTACT", "SECONDARY_CONTACT")
    assert changed(former)["entitlement_inventory"] == (None, "UPDATE")
    assert changed(successor)["role"] == ("SECONDARY_CONTACT", "PRIMARY_CONTACT")
    assert {name: after for name, (_, after) in changed(successor).items() if name in PRIVILEGES} == (
        dict.fromkeys(PRIVILEGES)
    )
    assert changed(handed_over)["primary_membership_id"][1] == str(site.primary_membership_id)
    assert list(changed(handed_over)) == ["primary_membership_id"]
    assert handed_over.justification == "Knows the site"


@pytest.mark.parametrize("way", ["remove", "leave", "end"])
async def test_the_nomination_ends_with_the_nominees_access(world: World, way: str) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    await nominate(place, membership_id)
    if way == "remove":
        await place.primary.succeed("removeMembership", membershipId=membership_id)
    elif way == "leave":
        await nominee.succeed("leaveSite", siteId=place.id)
    else:
        end = ago(days=-13).isoformat()
        await place.primary.succeed("updateMembership", membershipId=membership_id, endsAt=end)
    (row,) = await nomination_rows(world, place)
    assert (row.state, row.membership_id) == (NominationState.CANCELLED, None)
    assert [event.event for event in await world.events(place)][1] == "NOMINATION_CANCELLED"
    assert (await place.primary.ask(PENDING, id=place.id))["site"]["nomination"] is None


async def test_one_that_ran_out_is_told_as_expired_when_the_nominee_goes(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    await world.nomination(place, membership_id, **LATE)
    await nominee.succeed("leaveSite", siteId=place.id)
    assert [event.event for event in await world.events(place)] == ["NOMINATION_EXPIRED", "SITE_LEFT"]


@pytest.mark.parametrize(
    "input",
    [{"endsAt": ago(days=-20).isoformat()}, {"endsAt": None}, {"privileges": {"reporting": "VIEW"}}],
    ids=["a later end", "no end", "levels"],
)
async def test_it_stays_when_the_nominees_access_outlasts_it(world: World, input: dict[str, Any]) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place, ends_at=ago(days=-18))
    nomination_id = await nominate(place, membership_id)
    await place.primary.succeed("updateMembership", membershipId=membership_id, **input)
    await nominee.succeed("acceptNomination", nominationId=nomination_id)


async def test_it_stays_when_somebody_else_goes(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    other, other_id = await world.secondary(place, manage_access=UpdateLevel.UPDATE)
    _, third = await world.member(place)
    nomination_id = await nominate(place, membership_id)
    await place.primary.succeed("removeMembership", membershipId=third)
    await place.primary.succeed("updateMembership", membershipId=other_id, endsAt=ago(days=-1).isoformat())
    await other.succeed("leaveSite", siteId=place.id)
    await nominee.succeed("acceptNomination", nominationId=nomination_id)


async def test_sentences_are_french_for_the_french(world: World) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    nomination_id = await world.nomination(place, membership_id, **LATE)
    payload = await nominee.do("acceptNomination", language="fr", nominationId=nomination_id)
    assert payload["errors"][0]["message"] == (
        "Cette désignation a reçu une réponse, a été annulée ou a expiré."
    )
    assert payload["errors"][0]["__typename"] == "ConflictError"
