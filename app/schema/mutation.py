"""The mutations: one per business act, each one function of `resolvers`."""

from collections.abc import Awaitable, Callable
from typing import Any

import strawberry
from strawberry.types import Info

from app.context import Context, Transaction
from app.errors import Fault, UserError
from app.language import translate
from app.policy import Action, allowed
from app.query.collect import collect
from app.query.rows import TYPE
from app.resolvers import access_requests, contacts, memberships, webhooks
from app.schema import inputs, payloads, webhook_inputs, webhook_payloads

Act = Callable[[Transaction, Any], Awaitable[dict[str, Any]]]


def mutation(description: str, action: Action) -> Any:
    """A mutation whose description says who may call it."""
    return strawberry.mutation(description=f"{description} {allowed(action)}")


async def write(info: Info, act: Act, input: Any) -> Any:
    """Do it in one transaction, then read the payload back; or answer with why it was refused."""
    context: Context = info.context
    selected = collect(info._raw_info)
    context.accept(selected)
    try:
        async with context.transaction() as transaction:
            values: dict[str, Any] = {"errors": []} | await act(transaction, input)
    except UserError as error:
        values = {"errors": [_described(fault, context) for fault in error.faults]}
    return await context.read_back(selected, values)


def _described(fault: Fault, context: Context) -> dict[Any, Any]:
    return {
        TYPE: payloads.error_type(fault.code),
        "code": fault.code,
        "message": _sentence(fault, context),
        "path": [str(step) for step in fault.path],
        **fault.parameters,
    }


def _sentence(fault: Fault, context: Context) -> str:
    """The sentence of a code; where it passes on a reason, that is a sentence to translate as well."""
    reason = fault.parameters.get("reason")
    translated = {"reason": translate(reason, context.language)} if reason else {}
    return translate(fault.code.value, context.language, **fault.parameters | translated)


@strawberry.type(description="Everything that can be changed.")
class Mutation:
    """Everything that can be changed."""

    @mutation("Asks for access to a site.", Action.REQUEST_ACCESS)
    async def request_access(
        self, info: Info, input: inputs.RequestAccessInput
    ) -> payloads.RequestAccessPayload | None:
        """Ask for access."""
        return await write(info, access_requests.request, input)

    @mutation("Takes back one's own pending request.", Action.WITHDRAW_ACCESS_REQUEST)
    async def withdraw_access_request(
        self, info: Info, input: inputs.WithdrawAccessRequestInput
    ) -> payloads.WithdrawAccessRequestPayload | None:
        """Takes back one's own pending request."""
        return await write(info, access_requests.withdraw, input)

    @mutation(
        "Grants a pending request: the requester becomes a member with this role and these levels.",
        Action.DECIDE_ACCESS_REQUEST,
    )
    async def grant_access_request(
        self, info: Info, input: inputs.GrantAccessRequestInput
    ) -> payloads.GrantAccessRequestPayload | None:
        """Grants a pending request."""
        return await write(info, access_requests.grant, input)

    @mutation("Denies a pending request.", Action.DECIDE_ACCESS_REQUEST)
    async def deny_access_request(
        self, info: Info, input: inputs.DenyAccessRequestInput
    ) -> payloads.DenyAccessRequestPayload | None:
        """Denies a pending request."""
        return await write(info, access_requests.deny, input)

    @mutation(
        "Gives a person access without waiting for a request; a pending request of theirs is "
        "granted by it. addUserPreview looks the person up before.",
        Action.ADD_USER,
    )
    async def add_user(self, info: Info, input: inputs.AddUserInput) -> payloads.AddUserPayload | None:
        """Gives a person access without waiting for a request; a pending request of theirs is granted by it."""
        return await write(info, memberships.add, input)

    @mutation("Changes role and levels of a member.", Action.UPDATE_MEMBERSHIP)
    async def update_membership(
        self, info: Info, input: inputs.UpdateMembershipInput
    ) -> payloads.UpdateMembershipPayload | None:
        """Changes role and levels of a member."""
        return await write(info, memberships.update, input)

    @mutation("Takes a member's access away.", Action.REMOVE_MEMBERSHIP)
    async def remove_membership(
        self, info: Info, input: inputs.RemoveMembershipInput
    ) -> payloads.RemoveMembershipPayload | None:
        """Takes a member's access away."""
        return await write(info, memberships.remove, input)

    @mutation("Gives up one's own access to a site.", Action.LEAVE_SITE)
    async def leave_site(self, info: Info, input: inputs.LeaveSiteInput) -> payloads.LeaveSitePayload | None:
        """Gives up one's own access to a site."""
        return await write(info, memberships.leave, input)

    @mutation(
        "Writes a new contact. With the type PRIMARY, it takes that from the contact who has it.",
        Action.CHANGE_CONTACTS,
    )
    async def create_contact(
        self, info: Info, input: inputs.CreateContactInput
    ) -> payloads.CreateContactPayload | None:
        """Writes a new contact."""
        return await write(info, contacts.create, input)

    @mutation(
        "Saves one contact. With the type PRIMARY, it takes that from the contact who has it.",
        Action.CHANGE_CONTACTS,
    )
    async def update_contact(
        self, info: Info, input: inputs.UpdateContactInput
    ) -> payloads.UpdateContactPayload | None:
        """Saves one contact."""
        return await write(info, contacts.update, input)

    @mutation(
        "Saves the whole form of contacts, or nothing; all faults of all contacts are reported together.",
        Action.CHANGE_CONTACTS,
    )
    async def update_contacts(
        self, info: Info, input: inputs.UpdateContactsInput
    ) -> payloads.UpdateContactsPayload | None:
        """Saves the whole form of contacts, or nothing; all faults of all contacts are reported together."""
        return await write(info, contacts.update_all, input)

    @mutation("Deletes a contact, but not the one with the type PRIMARY.", Action.CHANGE_CONTACTS)
    async def delete_contact(
        self, info: Info, input: inputs.DeleteContactInput
    ) -> payloads.DeleteContactPayload | None:
        """Deletes a contact, but not the one with the type PRIMARY."""
        return await write(info, contacts.delete, input)

    @mutation(
        "Has a partner tool told of what happens at a site. The answer shows the secret, this once.",
        Action.MANAGE_WEBHOOKS,
    )
    async def create_webhook(
        self, info: Info, input: webhook_inputs.CreateWebhookInput
    ) -> webhook_payloads.CreateWebhookPayload | None:
        """Has a partner tool told of what happens at a site."""
        return await write(info, webhooks.create, input)

    @mutation(
        "Changes a webhook; what is left out stays as it is. While it is not active, nothing is queued for it, and "
        "what was queued waits.",
        Action.MANAGE_WEBHOOKS,
    )
    async def update_webhook(
        self, info: Info, input: webhook_inputs.UpdateWebhookInput
    ) -> webhook_payloads.UpdateWebhookPayload | None:
        """Changes a webhook."""
        return await write(info, webhooks.update, input)

    @mutation("Deletes a webhook with all its deliveries.", Action.MANAGE_WEBHOOKS)
    async def delete_webhook(
        self, info: Info, input: webhook_inputs.DeleteWebhookInput
    ) -> webhook_payloads.DeleteWebhookPayload | None:
        """Deletes a webhook with all its deliveries."""
        return await write(info, webhooks.delete, input)

    @mutation(
        "Gives a webhook a new secret, which the answer shows this once. The one before signs as well for "
        "24 hours; one older than that stops at once.",
        Action.MANAGE_WEBHOOKS,
    )
    async def rotate_webhook_secret(
        self, info: Info, input: webhook_inputs.RotateWebhookSecretInput
    ) -> webhook_payloads.RotateWebhookSecretPayload | None:
        """Gives a webhook a new secret."""
        return await write(info, webhooks.rotate_secret, input)

    @mutation("Sends a webhook the event ping, on the way that all events take.", Action.MANAGE_WEBHOOKS)
    async def ping_webhook(
        self, info: Info, input: webhook_inputs.PingWebhookInput
    ) -> webhook_payloads.PingWebhookPayload | None:
        """Sends a webhook the event ping."""
        return await write(info, webhooks.ping, input)

    @mutation(
        "Sends a delivery again, in whatever state it is, with the same webhook-id and all attempts before it.",
        Action.MANAGE_WEBHOOKS,
    )
    async def redeliver_webhook(
        self, info: Info, input: webhook_inputs.RedeliverWebhookInput
    ) -> webhook_payloads.RedeliverWebhookPayload | None:
        """Sends a delivery again."""
        return await write(info, webhooks.redeliver, input)
