"""An operator moves the primary contact, from the command line and for a documented reason."""

import asyncio
import shlex
import unicodedata
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from app.__main__ import cli
from app.db.models import Site
from app.query.ids import write_id
from app.rules import NominationState
from app.site_transfer import TransferRefused, transfer_primary
from tests.access import form, newcomer
from tests.test_history import changed
from tests.test_nominations import KEPT, member_rows, nominate, nomination_rows, own, primary_of
from tests.world import World, ago


async def test_a_member_becomes_the_primary_contact(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    person, _ = await world.member(place)
    await transfer_primary(database, f" {place.number.lower()} ", person.ibm_id.upper(), " Left the company ")
    assert await primary_of(world, place) == person.user_id
    former = await own(place.primary, place)
    assert (former["role"], former["privileges"]) == ("SECONDARY_CONTACT", KEPT)
    events = await world.events(place)
    assert [event.event for event in events] == [
        "MEMBERSHIP_UPDATED",
        "MEMBERSHIP_UPDATED",
        "PRIMARY_CONTACT_HANDED_OVER",
    ]
    assert {(event.actor_id, event.actor_name, event.client) for event in events} == {
        (None, "operator", "operator")
    }
    assert (events[-1].reason, list(changed(events[-1]))) == ("Left the company", ["primary_membership_id"])


async def test_a_member_is_found_however_the_characters_are_composed(
    world: World, database: AsyncEngine
) -> None:
    place, ibm_id = await world.site(), f"rené-{newcomer()}"
    added = await place.primary.succeed("addUser", "membership { user { id } }", **form(place, ibm_id))
    await transfer_primary(database, place.number, unicodedata.normalize("NFD", ibm_id), "Left the company")
    key = await primary_of(world, place)
    assert key and write_id("user", key) == added["membership"]["user"]["id"]


async def test_ended_access_goes_on(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    person, _ = await world.secondary(place, ends_at=ago(days=1))
    await transfer_primary(database, place.number, person.ibm_id, "Nobody else is there")
    assert await primary_of(world, place) == person.user_id
    assert (await own(person, place))["role"] == "PRIMARY_CONTACT"


@pytest.mark.parametrize("late", [False, True])
async def test_a_pending_nomination_ends(world: World, database: AsyncEngine, late: bool) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    ended: dict[str, Any] = {"created_at": ago(days=15), "expires_at": ago(days=1)} if late else {}
    nomination_id = await world.nomination(place, membership_id, **ended)
    person, _ = await world.member(place)
    await transfer_primary(database, place.number, person.ibm_id, "Left the company")
    (row,) = await nomination_rows(world, place)
    assert row.state is (NominationState.EXPIRED if late else NominationState.CANCELLED)
    assert (await world.events(place))[0].event == f"NOMINATION_{row.state.name}"
    refusal = await nominee.refused("acceptNomination", nominationId=nomination_id)
    assert refusal == [("NOMINATION_CLOSED", "nominationId")]


async def test_the_nominee_may_be_the_one(world: World, database: AsyncEngine) -> None:
    place = await world.site()
    nominee, membership_id = await world.member(place)
    await nominate(place, membership_id)
    await transfer_primary(database, place.number, nominee.ibm_id, "No answer")
    assert await primary_of(world, place) == nominee.user_id


async def test_what_is_refused_changes_nothing(world: World, database: AsyncEngine) -> None:
    place, other = await world.site(), await world.site()
    member, _ = await world.member(place)
    elsewhere, _ = await world.member(other)
    reason = "Left the company"
    cases = {
        ("NO-SUCH-SITE", member.ibm_id, reason): "There is no site",
        (place.number, "nobody@example.com", reason): "Nobody with this IBMid",
        (place.number, elsewhere.ibm_id, reason): "Nobody with this IBMid",
        (place.number, place.primary.ibm_id, reason): "is the primary contact already",
        (place.number, member.ibm_id, "  "): "must be given",
        (place.number, member.ibm_id, "x" * 2001): "At most 2000",
        (place.number, member.ibm_id, "\x00"): "Control characters",
    }
    for (number, ibm_id, why), text in cases.items():
        async with world.unchanged():
            with pytest.raises(TransferRefused, match=text):
                await transfer_primary(database, number, ibm_id, why)


def run(database_url: str, folder: Path, *arguments: str) -> Any:
    environment = {"DATABASE_URL": database_url, "DATA_DIRECTORY": str(folder), "DEVELOPMENT": "true"}
    return CliRunner().invoke(cli, ["site", *arguments], env=environment)


def test_the_command_moves_or_says_why_not(database_url: str, tmp_path: Path) -> None:
    number, who = uuid4().hex[:10].upper(), f"{uuid4().hex}@example.com"
    made = shlex.split(
        f"create --number {number} --name Test --primary-ibm-id {who} --primary-email {who} --first-name Ana"
        " --last-name Roy --address Bahnhofstrasse --city Bern --phone +41446681800 --country CH --postal-code 3011"
    )
    assert run(database_url, tmp_path, *made).exit_code == 0
    refused = run(database_url, tmp_path, "transfer-primary", number, who, "--reason", "Gone")
    assert (refused.exit_code, refused.output) == (
        1,
        "This is the primary contact already. Nothing was written.\n",
    )
    without = run(database_url, tmp_path, "transfer-primary", number, who)
    assert without.exit_code == 2
    assert "--reason" in without.output


async def test_the_command_and_a_site_that_is_there(world: World, database_url: str, tmp_path: Path) -> None:
    place = await world.site()
    person, _ = await world.member(place)
    arguments = (database_url, tmp_path, "transfer-primary", place.number, person.ibm_id, "--reason", "Gone")
    result = await asyncio.to_thread(run, *arguments)
    assert (result.exit_code, result.output) == (
        0,
        f"{person.ibm_id} is the primary contact of site {place.number}.\n",
    )
    assert await primary_of(world, place) == person.user_id
    (site,) = await world.rows(Site, Site.id == place.site_id)
    assert site.primary_membership_id == (await member_rows(world, place))[person.user_id].id
