"""What a site is told it could do better: when, and who is told."""

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import Site
from app.query.engine import Engine
from app.rules import AccessRequestState, RecommendationCode, Role
from tests.world import UPDATE, VIEW, Person, Place, World, ago

ASK = """query($id: ID!) { site(id: $id) { recommendations { __typename code message action
  ... on ContactReviewOverdueRecommendation { dueAt }
  ... on AccessEndsSoonRecommendation { memberships { totalCount nodes { id endsAt } } }
  ... on OldPendingRequestsRecommendation { accessRequests { totalCount nodes { id } } } } } }"""
NO_SECONDARY, SINGLE, OVERDUE, ENDS, OLD, *_ = (code.name for code in RecommendationCode)


async def recommended(person: Person, place: Place, language: str | None = None) -> dict[str, Any]:
    """The recommendations that a person is shown, by code."""
    found = (await person.ask(ASK, language, id=place.id))["site"]["recommendations"]
    assert len({one["code"] for one in found}) == len(found)
    return {one["code"]: one for one in found}


async def neglected(world: World) -> Place:
    """A site with everything wrong that can be at once, and nothing that has gone by."""
    place = await world.site()
    await reviewed(world, place, months=2)
    await world.member(place, ends_at=ago(days=-10))
    await world.request(place, created_at=ago(days=8))
    return place


async def reviewed(world: World, place: Place, months: int) -> None:
    """Let the site be as old as that."""
    async with AsyncSession(world.database) as session, session.begin():
        created_at = ago(days=31 * months)
        await session.execute(sa.update(Site).where(Site.id == place.site_id).values(created_at=created_at))


@pytest.mark.parametrize(
    ("who", "codes"),
    [
        ("primary", {SINGLE, OVERDUE, ENDS, OLD}),
        ("manage_access=UPDATE", {OVERDUE, ENDS, OLD} - {OVERDUE}),
        ("manage_access=VIEW", set()),
        ("contact_updates=UPDATE", {OVERDUE}),
        ("contact_updates=VIEW", set()),
        ("user", set()),
    ],
)
async def test_each_is_told_to_those_who_can_do_something_about_it(
    world: World, who: str, codes: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons: list[str] = []
    monkeypatch.setattr(Engine, "_note", lambda _self, reason: reasons.append(reason))
    place = await neglected(world)
    if who == "primary":
        await world.secondary(place, manage_access=VIEW)
    person = await world.caller(place, who)
    assert set(await recommended(person, place)) == codes
    assert reasons == []


async def test_a_new_site_is_told_to_find_a_secondary_contact(world: World) -> None:
    place = await world.site()
    assert set(await recommended(place.primary, place)) == {NO_SECONDARY}
    _, gone = await world.secondary(place, ends_at=ago(days=1), manage_access=UPDATE)
    assert set(await recommended(place.primary, place)) == {NO_SECONDARY}
    await place.primary.succeed("removeMembership", membershipId=gone)
    _, membership_id = await world.secondary(place, manage_access=VIEW)
    assert set(await recommended(place.primary, place)) == {SINGLE}
    levels = {"accountManagement": {"manageAccess": "UPDATE"}}
    await place.primary.succeed("updateMembership", membershipId=membership_id, privileges=levels)
    assert await recommended(place.primary, place) == {}


async def test_an_overdue_review_is_told_until_it_is_done(world: World) -> None:
    place = await world.site()
    await reviewed(world, place, months=2)
    document = "query($id: ID!) { site(id: $id) { contactReview { nextDueAt overdue } } }"
    review = (await place.primary.ask(document, id=place.id))["site"]["contactReview"]
    found = (await recommended(place.primary, place))[OVERDUE]
    assert review == {"nextDueAt": found["dueAt"], "overdue": True}
    await place.primary.succeed("confirmContactReview", siteId=place.id)
    assert OVERDUE not in await recommended(place.primary, place)


async def test_access_that_ends_soon_is_listed_the_first_to_end_first(world: World) -> None:
    place = await world.site()
    await world.member(place)
    await world.member(place, ends_at=ago(days=1))
    await world.member(place, ends_at=ago(days=-31))
    assert ENDS not in await recommended(place.primary, place)
    _, later = await world.member(place, ends_at=ago(days=-29))
    _, sooner = await world.member(place, Role.SECONDARY_CONTACT, ends_at=ago(days=-1))
    found = (await recommended(place.primary, place))[ENDS]["memberships"]
    assert (found["totalCount"], [one["id"] for one in found["nodes"]]) == (2, [sooner, later])


async def test_pages_of_what_a_recommendation_lists_go_on(world: World) -> None:
    place = await world.site()
    ids = [(await world.member(place, ends_at=ago(days=-day)))[1] for day in range(1, 6)]
    document = """query($id: ID!, $after: String) { site(id: $id) { recommendations {
      ... on AccessEndsSoonRecommendation { memberships(first: 2, after: $after) {
        nodes { id } pageInfo { hasNextPage endCursor } } } } } }"""
    found: list[str] = []
    after, more = None, True
    while more:
        parts = (await place.primary.ask(document, id=place.id, after=after))["site"]["recommendations"]
        [page] = [part["memberships"] for part in parts if part]
        found += [one["id"] for one in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert found == ids


async def test_requests_that_wait_for_long_are_listed_the_oldest_first(world: World) -> None:
    place = await world.site()
    await world.request(place, created_at=ago(days=6))
    await world.request(place, created_at=ago(days=30), expires_at=ago(days=1))
    withdrawn = {"state": AccessRequestState.WITHDRAWN, "closed_at": ago(days=1)}
    await world.request(place, created_at=ago(days=30), **withdrawn)
    assert OLD not in await recommended(place.primary, place)
    _, newer = await world.request(place, created_at=ago(days=8))
    _, older = await world.request(place, created_at=ago(days=9))
    found = (await recommended(place.primary, place))[OLD]["accessRequests"]
    assert (found["totalCount"], [one["id"] for one in found["nodes"]]) == (2, [older, newer])


async def test_sentences_are_told_in_the_language_of_the_caller(world: World) -> None:
    place = await neglected(world)
    english, french = [await recommended(place.primary, place, language) for language in ("en", "fr")]
    assert english[OLD]["message"].endswith("for more than 7 days.")
    assert french[OLD]["message"] == "Une demande d’accès à ce site attend depuis plus de 7 jours."
    assert english[ENDS]["message"].endswith("ends within 30 days.")
    assert english.keys() == french.keys() == {NO_SECONDARY, OVERDUE, ENDS, OLD}
    for code in english:
        assert english[code]["__typename"] == french[code]["__typename"]
        assert english[code]["message"] != french[code]["message"]
        assert english[code]["action"] != french[code]["action"]


async def test_other_sites_have_no_part_in_it(world: World) -> None:
    place, _ = await world.site(), await neglected(world)
    await world.secondary(place, manage_access=UPDATE)
    assert await recommended(place.primary, place) == {}
