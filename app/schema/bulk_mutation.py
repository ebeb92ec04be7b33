"""The mutations that do one thing to many, each one function of `resolvers.bulk`."""

import strawberry
from strawberry.types import Info

from app.policy import Action
from app.resolvers import bulk
from app.schema import bulk_inputs, bulk_payloads
from app.schema.writing import mutation, write


@strawberry.type(description="Everything that can be done to many at once.")
class BulkMutation:
    """Everything that can be done to many at once."""

    @mutation(
        "Gives up to 100 people access to a site, each as addUser does. Seats are taken in the order of the items.",
        Action.ADD_USER,
    )
    async def add_users(
        self, info: Info, input: bulk_inputs.AddUsersInput
    ) -> bulk_payloads.AddUsersPayload | None:
        """Gives several people access."""
        return await write(info, bulk.add_users, input)

    @mutation(
        "Changes up to 100 memberships of a site, each as updateMembership does, in the order of the items.",
        Action.UPDATE_MEMBERSHIP,
    )
    async def update_memberships(
        self, info: Info, input: bulk_inputs.UpdateMembershipsInput
    ) -> bulk_payloads.UpdateMembershipsPayload | None:
        """Changes several memberships."""
        return await write(info, bulk.update_memberships, input)

    @mutation(
        "Takes the access of up to 100 members of a site away, each as removeMembership does.",
        Action.REMOVE_MEMBERSHIP,
    )
    async def remove_memberships(
        self, info: Info, input: bulk_inputs.RemoveMembershipsInput
    ) -> bulk_payloads.RemoveMembershipsPayload | None:
        """Takes the access of several members away."""
        return await write(info, bulk.remove_memberships, input)

    @mutation(
        "Grants up to 100 pending requests of a site, each as grantAccessRequest does, in the order of the items.",
        Action.DECIDE_ACCESS_REQUEST,
    )
    async def grant_access_requests(
        self, info: Info, input: bulk_inputs.GrantAccessRequestsInput
    ) -> bulk_payloads.GrantAccessRequestsPayload | None:
        """Grants several requests."""
        return await write(info, bulk.grant, input)

    @mutation(
        "Denies up to 100 pending requests of a site, each as denyAccessRequest does.",
        Action.DECIDE_ACCESS_REQUEST,
    )
    async def deny_access_requests(
        self, info: Info, input: bulk_inputs.DenyAccessRequestsInput
    ) -> bulk_payloads.DenyAccessRequestsPayload | None:
        """Denies several requests."""
        return await write(info, bulk.deny, input)
