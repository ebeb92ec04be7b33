"""Access requests: asked for, withdrawn, granted, denied."""

from tests.world import World


async def test_granting_makes_the_membership(world: World) -> None:
    place = await world.site()
    requester, request_id = await world.request(place, justification="Mises à jour")
    payload = await place.primary.succeed(
        "grantAccessRequest",
        "accessRequest { state grantedRole justification approverJustification closedAt decidedBy { id } }"
        " membership { role justification user { ibmId } privileges { reporting purchaseAndDownload"
        " accountManagement { manageAccess contactUpdateOverview } } }"
        " site { memberships { totalCount nodes { role } } }",
        accessRequestId=request_id,
        role="USER",
        privileges={"reporting": "VIEW"},
    )
    print(payload)
    assert payload["membership"]["privileges"]["reporting"] == "VIEW"
    data = await requester.ask("{ viewer { user { name } memberships { nodes { role site { number } } } } }")
    print(data)
