"""Messages where a site is stricter: a naming that waits tells nobody, its confirmation tells what it does."""

import pytest

from app.rules import MessageKind
from tests.site_rules import blocked_row, strict_site
from tests.test_messages import to, told
from tests.test_namings import Way, added, granted, propose, updated
from tests.world import UPDATE, World

TOLD = {added: MessageKind.WELCOME, granted: MessageKind.ACCESS_GRANTED, updated: MessageKind.ACCESS_CHANGED}
"""What somebody who becomes a secondary contact is told, by the way they became one."""


@pytest.mark.parametrize("way", TOLD)
async def test_a_naming_that_waits_is_told_to_nobody_until_it_is_confirmed(world: World, way: Way) -> None:
    place, second = await strict_site(world)
    naming_id, person = await propose(world, place, way)
    assert await told(world, place) == to(TOLD[way])
    await second.succeed("confirmNaming", namingId=naming_id)
    assert await told(world, place) == to(TOLD[way], person)


@pytest.mark.parametrize("way", TOLD)
@pytest.mark.parametrize("taken_back", [True, False])
async def test_a_naming_that_is_rejected_or_taken_back_is_told_to_nobody(
    world: World, way: Way, taken_back: bool
) -> None:
    place, second = await strict_site(world)
    naming_id, _ = await propose(world, place, way)
    await (place.primary if taken_back else second).succeed("rejectNaming", namingId=naming_id)
    assert await told(world, place) == to(TOLD[way])


async def test_who_is_blocked_asks_and_the_deciders_hear_of_it_once_they_are_not(world: World) -> None:
    place = await world.site()
    manager, _ = await world.secondary(place, manage_access=UPDATE)
    asking = await world.person()
    blocked = blocked_row(place, asking.ibm_id)
    blocked_id = f"blocked_requester_{blocked.id.hex}"
    await world.add(blocked)
    await asking.succeed("requestAccess", siteNumber=place.number)
    assert await told(world, place) == to(MessageKind.ACCESS_REQUESTED)
    await place.primary.succeed("unblockRequester", blockedRequesterId=blocked_id)
    assert await told(world, place) == to(MessageKind.ACCESS_REQUESTED, place.primary, manager)
