"""What subscriptions tell, to whom, in which order, over both transports."""

from collections.abc import Iterator

import pytest

from app.config import Settings
from app.server import create_app
from tests.live import Server, joined, running
from tests.world import World

REQUESTS = """subscription($site: ID!, $after: ID) { accessRequestChanged(siteId: $site, after: $after) {
  __typename event eventId at accessRequest { id state requester { email } } } }"""
MEMBERSHIPS = """subscription($site: ID!, $after: ID) { membershipChanged(siteId: $site, after: $after) {
  event eventId membership { id role user { email } } removedMembershipId } }"""
SITE = """subscription($site: ID!, $after: ID) { siteChanged(siteId: $site, after: $after) {
  event eventId site { name contacts { lastName } } } }"""


@pytest.fixture(scope="module")
def server(settings: Settings) -> Iterator[Server]:
    """A server on the shared database."""
    with running(create_app(settings)) as server:
        yield server


async def test_a_request_is_told_from_asking_to_granting(world: World, server: Server) -> None:
    place = await world.site()
    person = await world.person()
    async with joined(server, place.primary.token) as socket:
        await socket.begin("1", REQUESTS, site=place.id)
        await server.heard_by(place)
        asked = await person.succeed("requestAccess", "accessRequest { id }", siteNumber=place.number)
        told = (await socket.next())["accessRequestChanged"]
        print(told)
        assert told["accessRequest"] == {
            "id": asked["accessRequest"]["id"],
            "state": "PENDING",
            "requester": {"email": person.ibm_id},
        }
