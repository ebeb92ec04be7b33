"""The rules of a site: who sets them, and that nobody gives more than they hold where the site asks for it."""

import asyncio
from typing import Any

import pytest

from app.db.models import AccessRequest, Membership, Site
from app.rules import UpdateLevel, ViewLevel
from tests.access import form, newcomer
from tests.site_rules import site_with, template
from tests.world import UPDATE, VIEW, Person, Place, World, ago

RULES = "rules { grantAtMostWhatYouHold secondPersonConfirms pendingRequestDays version }"
READ = f"query($id: ID!) {{ site(id: $id) {{ {RULES} }} }}"
OFF = {
    "grantAtMostWhatYouHold": False,
    "secondPersonConfirms": False,
    "pendingRequestDays": None,
    "version": 1,
}
REPORTING, MANAGE = "privileges.reporting", "privileges.accountManagement.manageAccess"
ABOVE = "LEVEL_ABOVE_YOURS"


async def rules_of(person: Person, place: Place) -> Any:
    site = (await person.ask(READ, id=place.id))["site"]
    return site and site["rules"]


@pytest.mark.parametrize("who", ["primary", "manage_access=UPDATE", "contact_updates=VIEW", "user"])
async def test_every_member_sees_the_rules_which_are_off_at_first(world: World, who: str) -> None:
    place = await world.site()
    assert await rules_of(await world.caller(place, who), place) == OFF


@pytest.mark.parametrize("who", ["ended", "stranger"])
async def test_others_see_no_rules(world: World, who: str) -> None:
    place = await world.site()
    assert await rules_of(await world.caller(place, who), place) is None


async def test_the_primary_contact_sets_the_rules(world: World) -> None:
    place = await world.site()
    wanted = {"grantAtMostWhatYouHold": True, "secondPersonConfirms": True, "pendingRequestDays": 30}
    payload = await place.primary.succeed("updateSiteRules", f"site {{ {RULES} }}", siteId=place.id, **wanted)
    assert payload["site"]["rules"] == {**wanted, "version": 2}
    [event] = await world.events(place)
    assert (event.event, event.actor_id) == ("SITE_RULES_UPDATED", place.primary.user_id)
    names = ("grant_at_most_held", "second_person_confirms", "pending_request_days")
    assert [event.before[name] for name in names] == [False, False, None]
    assert [event.after[name] for name in names] == [True, True, 30]


async def test_what_is_left_out_stays_and_an_explicit_null_takes_the_days_away(world: World) -> None:
    place = await site_with(world, grant_at_most_held=True, pending_request_days=30)
    await place.primary.succeed("updateSiteRules", siteId=place.id, secondPersonConfirms=True)
    await place.primary.succeed("updateSiteRules", siteId=place.id, grantAtMostWhatYouHold=None)
    rules = await rules_of(place.primary, place)
    assert (rules["grantAtMostWhatYouHold"], rules["pendingRequestDays"]) == (True, 30)
    await place.primary.succeed("updateSiteRules", siteId=place.id, pendingRequestDays=None)
    rules = await rules_of(place.primary, place)
    assert (rules["secondPersonConfirms"], rules["pendingRequestDays"]) == (True, None)


async def test_setting_what_is_set_leaves_no_trace(world: World) -> None:
    place = await site_with(world, pending_request_days=30)
    version = (await rules_of(place.primary, place))["version"]
    async with world.unchanged():
        await place.primary.succeed("updateSiteRules", siteId=place.id, pendingRequestDays=30)
    assert (await rules_of(place.primary, place))["version"] == version


async def test_the_version_counts_the_rules_only(world: World) -> None:
    place = await world.site()
    await place.primary.succeed("confirmContactReview", siteId=place.id)
    assert await rules_of(place.primary, place) == OFF


async def test_rules_that_somebody_else_changed_are_not_overwritten(world: World) -> None:
    place = await world.site()
    await place.primary.succeed("updateSiteRules", siteId=place.id, pendingRequestDays=5, expectedVersion=1)
    document = f"""mutation($input: UpdateSiteRulesInput!) {{ updateSiteRules(input: $input) {{ site {{ id }}
      errors {{ code path ... on StaleVersionError {{ currentVersion site {{ {RULES} }} }} }} }} }}"""
    stale = {"siteId": place.id, "secondPersonConfirms": True, "expectedVersion": 1}
    async with world.unchanged():
        data = await place.primary.ask(document, input=stale)
    rules = {**OFF, "pendingRequestDays": 5, "version": 2}
    error = {"code": "STALE_VERSION", "path": ["expectedVersion"], "currentVersion": 2}
    assert data["updateSiteRules"] == {"site": None, "errors": [{**error, "site": {"rules": rules}}]}


@pytest.mark.parametrize("days", [0, -1, 366, 2**31 - 1, -(2**31)])
async def test_days_are_from_1_to_365(world: World, days: int) -> None:
    place = await world.site()
    wrong = {"siteId": place.id, "pendingRequestDays": days}
    assert await place.primary.refused("updateSiteRules", **wrong) == [("OUT_OF_RANGE", "pendingRequestDays")]
    english = await place.primary.do("updateSiteRules", **wrong)
    assert english["errors"][0]["message"] == "Give a number from 1 to 365."
    french = await place.primary.do("updateSiteRules", language="fr", **wrong)
    assert french["errors"][0]["message"] == "Indiquez un nombre de 1 à 365."


@pytest.mark.parametrize("days", [1, 365])
async def test_new_requests_expire_after_the_days_that_were_set(world: World, days: int) -> None:
    place, person = await world.site(), await world.person()
    await world.request(place)
    await place.primary.succeed("updateSiteRules", siteId=place.id, pendingRequestDays=days)
    await person.succeed("requestAccess", siteNumber=place.number)
    requests = await world.rows(AccessRequest, AccessRequest.site_id == place.site_id)
    ends = {request.requester_id: request.expires_at for request in requests}
    assert abs(ends.pop(person.user_id) - ago(days=-days)).total_seconds() < 60
    assert list(ends.values()) == [None]


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
async def test_nobody_else_sets_the_rules(world: World, who: str, code: str) -> None:
    place = await world.site()
    person = await world.caller(place, who)
    refusal = await person.refused("updateSiteRules", siteId=place.id, grantAtMostWhatYouHold=True)
    assert refusal == [(code, "siteId")]


async def test_a_dry_run_shows_the_rules_and_sets_none(world: World) -> None:
    place = await world.site()
    wanted = {"siteId": place.id, "secondPersonConfirms": True, "validateOnly": True}
    async with world.unchanged():
        payload = await place.primary.succeed("updateSiteRules", f"site {{ {RULES} }}", **wanted)
    assert payload["site"]["rules"] == {**OFF, "secondPersonConfirms": True, "version": 2}


# Grant at most what you hold


async def manager_of(world: World, **rules: Any) -> tuple[Place, Person]:
    """A site, and a secondary contact of it who manages access and may look at reports, but at no inventory."""
    place = await site_with(world, **rules)
    manager, _ = await world.secondary(place, manage_access=UPDATE, reporting=ViewLevel.VIEW)
    return place, manager


INVENTORY = {"reporting": "VIEW", "entitlementInventory": "VIEW"}
TOO_MUCH = [(ABOVE, "privileges.entitlementInventory")]


async def test_nobody_gives_more_than_they_hold_by_any_way(world: World) -> None:
    place, manager = await manager_of(world, grant_at_most_held=True)
    _, membership_id = await world.member(place)
    _, request_id = await world.request(place)
    added = form(place, newcomer(), privileges=INVENTORY)
    assert await manager.refused("addUser", **added) == TOO_MUCH
    granted = {"accessRequestId": request_id, "role": "USER", "privileges": INVENTORY}
    assert await manager.refused("grantAccessRequest", **granted) == TOO_MUCH
    raised = {"membershipId": membership_id, "privileges": INVENTORY}
    assert await manager.refused("updateMembership", **raised) == TOO_MUCH


async def test_what_one_holds_oneself_can_be_given(world: World) -> None:
    place, manager = await manager_of(world, grant_at_most_held=True)
    _, membership_id = await world.member(place)
    _, request_id = await world.request(place)
    levels = {"privileges": {"reporting": "VIEW"}}
    await manager.succeed("addUser", **form(place, newcomer(), **levels))
    await manager.succeed("grantAccessRequest", accessRequestId=request_id, role="USER", **levels)
    await manager.succeed("updateMembership", membershipId=membership_id, **levels)
    rows = await world.rows(Membership, Membership.site_id == place.site_id)
    assert [row.reporting for row in rows if row.role.name == "USER"] == [ViewLevel.VIEW] * 3


async def test_it_is_about_levels_and_not_about_roles(world: World) -> None:
    place, manager = await manager_of(world, grant_at_most_held=True)
    levels = {"accountManagement": {"manageAccess": "UPDATE", "contactUpdates": "VIEW"}}
    wanted = form(place, newcomer(), role="SECONDARY_CONTACT", privileges=levels)
    refusal = await manager.refused("addUser", **wanted)
    assert refusal == [(ABOVE, "privileges.accountManagement.contactUpdates")]
    del levels["accountManagement"]["contactUpdates"]
    await manager.succeed("addUser", **wanted)


async def test_keeping_and_lowering_a_level_above_ones_own_is_no_giving(world: World) -> None:
    place, manager = await manager_of(world, grant_at_most_held=True)
    _, membership_id = await world.member(place, entitlement_inventory=UpdateLevel.UPDATE)
    kept = {"entitlementInventory": "UPDATE", "reporting": "VIEW"}
    await manager.succeed("updateMembership", membershipId=membership_id, privileges=kept)
    await manager.succeed("updateMembership", membershipId=membership_id, justification="Still needed")
    lowered = {"entitlementInventory": "VIEW"}
    await manager.succeed("updateMembership", membershipId=membership_id, privileges=lowered)
    raised = {"membershipId": membership_id, "privileges": {"entitlementInventory": "UPDATE"}}
    assert await manager.refused("updateMembership", **raised) == TOO_MUCH


async def test_what_an_ended_member_held_is_given_anew(world: World) -> None:
    place, manager = await manager_of(world, grant_at_most_held=True)
    person, _ = await world.member(place, ends_at=ago(days=1), entitlement_inventory=VIEW)
    refusal = await manager.refused("addUser", **form(place, person.ibm_id, privileges=INVENTORY))
    assert refusal == TOO_MUCH


async def test_the_primary_contact_holds_the_highest_of_everything(world: World) -> None:
    place, _ = await manager_of(world, grant_at_most_held=True)
    levels = {**INVENTORY, "accountManagement": {"manageAccess": "UPDATE", "contactUpdates": "UPDATE"}}
    wanted = form(place, newcomer(), role="SECONDARY_CONTACT", privileges=levels)
    await place.primary.succeed("addUser", **wanted)


async def test_without_the_rule_everything_can_be_given(world: World) -> None:
    place, manager = await manager_of(world)
    await manager.succeed("addUser", **form(place, newcomer(), privileges=INVENTORY))


async def test_all_faults_come_together_in_both_languages(world: World) -> None:
    place, manager = await manager_of(world, grant_at_most_held=True)
    levels = {**INVENTORY, "accountManagement": {"contactUpdates": "VIEW"}}
    wanted = form(place, newcomer(), privileges=levels, confirmed=False)
    assert sorted(await manager.refused("addUser", **wanted)) == [
        ("CONFIRMATION_REQUIRED", "confirmed"),
        (ABOVE, "privileges.accountManagement.contactUpdates"),
        (ABOVE, "privileges.entitlementInventory"),
        ("LEVEL_NOT_FOR_ROLE", "privileges.accountManagement.contactUpdates"),
    ]
    told = {}
    for language in ("en", "fr"):
        payload = await manager.do("addUser", language=language, **wanted)
        told[language] = {error["message"] for error in payload["errors"] if error["code"] == ABOVE}
    assert told == {
        "en": {"The rules of this site let nobody give a level above their own."},
        "fr": {"Les règles de ce site ne permettent à personne d’accorder un niveau supérieur au sien."},
    }


async def test_the_levels_of_a_template_count_as_well(world: World) -> None:
    place, manager = await manager_of(world, grant_at_most_held=True)
    template_id = await template(world, place, entitlement_inventory=VIEW)
    _, membership_id = await world.member(place)
    _, request_id = await world.request(place)
    given = {"templateId": template_id}
    assert await manager.refused("addUser", **form(place, newcomer(), **given)) == TOO_MUCH
    granted = {"accessRequestId": request_id, "role": "USER", **given}
    assert await manager.refused("grantAccessRequest", **granted) == TOO_MUCH
    assert await manager.refused("updateMembership", membershipId=membership_id, **given) == TOO_MUCH
    lowered = {**given, "privileges": {"entitlementInventory": "NONE"}}
    await manager.succeed("updateMembership", membershipId=membership_id, **lowered)


async def test_of_switching_the_rule_on_and_giving_too_much_at_once_the_first_counts(world: World) -> None:
    for _ in range(5):
        place, manager = await manager_of(world)
        ibm_id = newcomer()
        switched, added = await asyncio.gather(
            place.primary.do("updateSiteRules", siteId=place.id, grantAtMostWhatYouHold=True),
            manager.do("addUser", **form(place, ibm_id, privileges=INVENTORY)),
        )
        assert switched["errors"] == []
        assert {error["code"] for error in added["errors"]} <= {ABOVE}
        order = [event.event for event in await world.events(place) if event.event != "USER_REGISTERED"]
        assert order == (["SITE_RULES_UPDATED"] if added["errors"] else ["USER_ADDED", "SITE_RULES_UPDATED"])
        [site] = await world.rows(Site, Site.id == place.site_id)
        assert site.grant_at_most_held
