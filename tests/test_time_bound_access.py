"""Access with an end: given, changed, taken away; and what holds after it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.db.models import Membership
from app.query.ids import write_id
from app.rules import PurchaseAndDownloadLevel, Role, ViewLevel
from tests.access import GRANTED, LEVELS, MANAGERS, MEMBERSHIP, NOTHING, form, newcomer, sites_of
from tests.world import UPDATE, World, ago

SOON = ago(days=-30).isoformat()
LATER = ago(days=-60).isoformat()
FAR = ago(days=-365 * 10 - 30).isoformat()
UPDATED = f"membership {{ {MEMBERSHIP} effectivePrivileges {{ {LEVELS} }} }}"
WRONG = [(ago(seconds=1).isoformat(), "END_IN_PAST"), (FAR, "END_TOO_FAR")]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_user_is_added_for_a_time(world: World) -> None:
    place, ibm_id = await world.site(), newcomer()
    payload = await place.primary.succeed("addUser", GRANTED, **form(place, ibm_id, endsAt=SOON))
    assert (moment(payload["membership"]["endsAt"]), payload["membership"]["active"]) == (moment(SOON), True)


async def test_access_is_granted_for_a_time(world: World) -> None:
    place = await world.site()
    requester, request_id = await world.request(place)
    payload = await place.primary.succeed(
        "grantAccessRequest", GRANTED, accessRequestId=request_id, role="USER", endsAt=SOON
    )
    assert moment(payload["membership"]["endsAt"]) == moment(SOON)
    assert (await sites_of(requester))[0]["active"] is True


@pytest.mark.parametrize(("ends_at", "code"), WRONG, ids=["in the past", "too far"])
async def test_an_end_in_the_past_or_too_far_is_refused(world: World, ends_at: str, code: str) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    _, membership_id = await world.member(place)
    acts: list[tuple[str, dict[str, Any]]] = [
        ("addUser", form(place, newcomer())),
        ("grantAccessRequest", {"accessRequestId": request_id, "role": "USER"}),
        ("updateMembership", {"membershipId": membership_id}),
    ]
    for mutation, input in acts:
        assert await place.primary.refused(mutation, **input, endsAt=ends_at) == [(code, "endsAt")]


async def test_ten_years_are_ten_years_to_the_end_of_the_day(world: World) -> None:
    place, now = await world.site(), datetime.now(UTC)
    in_ten_years = datetime(now.year + 10, now.month, min(now.day, 28), 23, 59, 59, tzinfo=UTC)
    in_ten_years += timedelta(days=now.day - min(now.day, 28))
    for days, refusal in ((0, []), (3, ["END_TOO_FAR"])):
        ends_at = (in_ten_years + timedelta(days=days)).isoformat()
        payload = await place.primary.do("addUser", **form(place, newcomer()), endsAt=ends_at)
        assert [error["code"] for error in payload["errors"]] == refusal


async def test_all_faults_come_together(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    refusal = await place.primary.refused(
        "updateMembership", membershipId=membership_id, role="PRIMARY_CONTACT", endsAt=WRONG[0][0]
    )
    assert refusal == [("ROLE_NOT_ASSIGNABLE", "role"), ("END_IN_PAST", "endsAt")]


@pytest.mark.parametrize(
    "text", ["2030-01-01", "2030-01-01T00:00:00", "tomorrow", "", 5, True, "2030-02-30T00:00:00Z"]
)
async def test_what_is_no_moment_is_the_programs_fault(world: World, text: Any) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    document = (
        "mutation($input: UpdateMembershipInput!) { updateMembership(input: $input) { errors { code } } }"
    )
    async with world.unchanged():
        response = await place.primary.post(document, input={"membershipId": membership_id, "endsAt": text})
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z"]
)
async def test_moments_at_the_edge_of_time_are_refused_like_others(world: World, text: str) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    document = (
        "mutation($input: UpdateMembershipInput!) { updateMembership(input: $input) { errors { code } } }"
    )
    async with world.unchanged():
        answer = (
            await place.primary.post(document, input={"membershipId": membership_id, "endsAt": text})
        ).json()
    told = answer.get("errors") or answer["data"]["updateMembership"]["errors"]
    assert (told[0].get("code") or told[0]["extensions"]["code"]) in ("END_TOO_FAR", "BAD_USER_INPUT")


async def test_a_moment_is_kept_whatever_its_offset(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    payload = await place.primary.succeed(
        "updateMembership", UPDATED, membershipId=membership_id, endsAt="2031-12-31T23:00:00-02:30"
    )
    assert payload["membership"]["endsAt"] == "2032-01-01T01:30:00.000000+00:00"
    (row,) = await world.rows(Membership, Membership.site_id == place.site_id, Membership.role == Role.USER)
    assert row.ends_at == datetime(2032, 1, 1, 1, 30, tzinfo=UTC)


async def test_an_end_stays_is_moved_and_is_taken_away(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    for given, expected in (
        ({"endsAt": LATER}, moment(LATER)),
        ({"endsAt": SOON}, moment(SOON)),
        ({"privileges": {"reporting": "VIEW"}}, moment(SOON)),
        ({"endsAt": None}, None),
        ({}, None),
    ):
        payload = await place.primary.succeed(
            "updateMembership", UPDATED, membershipId=membership_id, **given
        )
        ends_at = payload["membership"]["endsAt"]
        assert (ends_at and moment(ends_at)) == expected
    assert [event.event for event in await world.events(place)] == ["MEMBERSHIP_UPDATED"] * 4


async def test_an_end_in_literals_means_the_same_as_in_variables(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place, ends_at=moment(SOON))
    for literal, expected in (
        ("", moment(SOON)),
        ("endsAt: null", None),
        (f'endsAt: "{LATER}"', moment(LATER)),
    ):
        await place.primary.ask(
            f'mutation {{ updateMembership(input: {{membershipId: "{membership_id}" {literal}}}) '
            "{ errors { code } } }"
        )
        (row,) = await world.rows(
            Membership, Membership.site_id == place.site_id, Membership.role == Role.USER
        )
        assert row.ends_at == expected


async def test_what_was_given_stays_but_nothing_of_it_counts_after_the_end(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.secondary(
        place,
        ends_at=ago(seconds=1),
        manage_access=UPDATE,
        reporting=ViewLevel.VIEW,
        purchase_and_download=PurchaseAndDownloadLevel.SOFTWARE_DOWNLOAD,
    )
    document = f"""query($id: ID!) {{ node(id: $id) {{ ... on Membership {{ active
      privileges {{ {LEVELS} }} effectivePrivileges {{
        {LEVELS} accountManagement {{ contactUpdateOverview }} }} }} }} }}"""
    node = (await place.primary.ask(document, id=membership_id))["node"]
    assert node["active"] is False
    assert node["privileges"]["accountManagement"]["manageAccess"] == "UPDATE"
    assert node["privileges"]["purchaseAndDownload"] == "SOFTWARE_DOWNLOAD"
    assert node["effectivePrivileges"]["accountManagement"].pop("contactUpdateOverview") is None
    assert node["effectivePrivileges"] == NOTHING
    payload = await place.primary.succeed(
        "updateMembership", UPDATED, membershipId=membership_id, endsAt=SOON
    )
    assert payload["membership"]["effectivePrivileges"] == payload["membership"]["privileges"]
    assert payload["membership"]["privileges"] == node["privileges"]


async def test_filters_go_by_what_counts_at_this_moment(world: World) -> None:
    place = await world.site()
    active, _ = await world.member(place, reporting=ViewLevel.VIEW)
    ended, _ = await world.member(place, reporting=ViewLevel.VIEW, ends_at=ago(seconds=1))
    document = """query($id: ID!, $filter: MembershipFilter) { site(id: $id) {
      memberships(filter: $filter) { nodes { user { ibmId } } } } }"""

    async def found(**filter: Any) -> set[str]:
        data = await place.primary.ask(document, id=place.id, filter=filter)
        return {node["user"]["ibmId"] for node in data["site"]["memberships"]["nodes"]}

    primary = place.primary.ibm_id
    assert await found(privilegesAtLeast={"reporting": "VIEW"}) == {active.ibm_id, primary}
    assert await found(privilegesAtLeast={"reporting": "NONE"}) == {active.ibm_id, ended.ibm_id, primary}
    assert await found(active=True) == {active.ibm_id, primary}
    assert await found(active=False) == {ended.ibm_id}
    assert await found(active=None) == {active.ibm_id, ended.ibm_id, primary}


@pytest.mark.parametrize("who", MANAGERS)
async def test_deciders_see_an_ended_membership_and_let_it_go_on(world: World, who: str) -> None:
    place = await world.site()
    caller = await world.caller(place, who)
    person, membership_id = await world.secondary(place, ends_at=ago(days=1), manage_access=UPDATE)
    assert await sites_of(person) == []
    payload = await caller.succeed("updateMembership", UPDATED, membershipId=membership_id, endsAt=None)
    membership = payload["membership"]
    assert (membership["id"], membership["role"], membership["active"]) == (
        membership_id,
        "SECONDARY_CONTACT",
        True,
    )
    assert membership["privileges"]["accountManagement"]["manageAccess"] == "UPDATE"
    assert [site["role"] for site in await sites_of(person)] == ["SECONDARY_CONTACT"]


async def test_an_ended_membership_can_be_changed_without_going_on(world: World) -> None:
    place = await world.site()
    person, membership_id = await world.member(place, ends_at=ago(days=1))
    payload = await place.primary.succeed(
        "updateMembership", UPDATED, membershipId=membership_id, privileges={"reporting": "VIEW"}
    )
    assert payload["membership"]["active"] is False
    assert payload["membership"]["effectivePrivileges"] == NOTHING
    assert await sites_of(person) == []


async def test_the_primary_contacts_access_has_no_end(world: World) -> None:
    place = await world.site()
    (row,) = await world.rows(Membership, Membership.site_id == place.site_id)
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    for caller in (place.primary, manager):
        refusal = await caller.refused(
            "updateMembership", membershipId=write_id("membership", row.id), endsAt=SOON
        )
        assert refusal == [("FORBIDDEN", "membershipId")]


@pytest.mark.parametrize(
    ("held", "given", "expected"),
    [
        (SOON, {"endsAt": LATER}, LATER),
        (LATER, {"endsAt": SOON}, LATER),
        (SOON, {"endsAt": None}, None),
        (SOON, {}, None),
        (None, {"endsAt": SOON}, None),
    ],
    ids=["later", "earlier", "none", "nothing said", "had none"],
)
async def test_a_grant_never_ends_the_access_of_a_member_earlier(
    world: World, held: str | None, given: dict[str, Any], expected: str | None
) -> None:
    place = await world.site()
    person, request_id = await world.request(place)
    await world.member(place, person=person, ends_at=moment(held) if held else None)
    payload = await place.primary.succeed(
        "grantAccessRequest", GRANTED, accessRequestId=request_id, role="USER", **given
    )
    ends_at = payload["membership"]["endsAt"]
    assert (ends_at and moment(ends_at)) == (moment(expected) if expected else None)


async def test_sentences_are_french_for_the_french(world: World) -> None:
    place = await world.site()
    _, membership_id = await world.member(place)
    payload = await place.primary.do(
        "updateMembership", language="fr", membershipId=membership_id, endsAt=FAR
    )
    assert payload["errors"][0]["message"].startswith("La date de fin ne peut dépasser 10 ans")
