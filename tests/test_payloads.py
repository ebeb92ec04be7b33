"""What is selected of a payload is looked at before anything is changed."""

import pytest

from tests.world import World

DEEP = "memberships(first: 100) { nodes { site { " * 3 + "id" + " } } }" * 3


@pytest.mark.parametrize(
    "selection",
    [
        "memberships(first: 101) { totalCount }",
        "memberships(first: 1, last: 1) { totalCount }",
        'memberships(after: "bm9wZQ") { totalCount }',
        'memberships(filter: {text: "\\u0000"}) { totalCount }',
        DEEP,
    ],
    ids=["too many", "both directions", "foreign cursor", "unreadable text", "pages within pages"],
)
async def test_a_payload_that_cannot_be_read_keeps_the_change_from_being_made(
    world: World, selection: str
) -> None:
    place = await world.site()
    _, request_id = await world.request(place)
    document = (
        "mutation($input: DenyAccessRequestInput!) { denyAccessRequest(input: $input) {"
        f" site {{ {selection} }} errors {{ code }} }} }}"
    )
    async with world.unchanged():
        response = await place.primary.post(
            document, input={"accessRequestId": request_id, "reason": "UNKNOWN_REQUESTER"}
        )
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert response.json()["data"] == {"denyAccessRequest": None}
