"""The mutations: one per business act, each one function of `resolvers`."""

import strawberry
from strawberry.types import Info

from app.policy import Action
from app.resolvers import access_requests, asking, contacts, memberships, nominations, preferences, webhooks
from app.rules import NOMINATION_DAYS
from app.schema import (
    contact_inputs,
    handover_inputs,
    handover_payloads,
    inputs,
    member_inputs,
    payloads,
    preference_inputs,
    preference_payloads,
    webhook_inputs,
    webhook_payloads,
)
from app.schema.bulk_mutation import BulkMutation
from app.schema.site_rule_mutations import SiteRuleMutations
from app.schema.writing import mutation, write


@strawberry.type(description="Everything that can be changed.")
class Mutation(BulkMutation, SiteRuleMutations):
    """Everything that can be changed."""

    @mutation("Asks for access to a site.", Action.REQUEST_ACCESS)
    async def request_access(
        self, info: Info, input: inputs.RequestAccessInput
    ) -> payloads.RequestAccessPayload | None:
        """Ask for access."""
        return await write(info, access_requests.request, input)

    @mutation("Asks for a later end of one's own access, also when it has ended.", Action.REQUEST_EXTENSION)
    async def request_extension(
        self, info: Info, input: member_inputs.RequestExtensionInput
    ) -> handover_payloads.RequestExtensionPayload | None:
        """Ask for a later end."""
        return await write(info, asking.request_extension, input)

    @mutation("Asks for higher levels, or to become a secondary contact.", Action.REQUEST_HIGHER_LEVEL)
    async def request_higher_level(
        self, info: Info, input: member_inputs.RequestHigherLevelInput
    ) -> handover_payloads.RequestHigherLevelPayload | None:
        """Ask for more."""
        return await write(info, asking.request_higher_level, input)

    @mutation("Takes back one's own pending request.", Action.WITHDRAW_ACCESS_REQUEST)
    async def withdraw_access_request(
        self, info: Info, input: inputs.WithdrawAccessRequestInput
    ) -> payloads.WithdrawAccessRequestPayload | None:
        """Takes back one's own pending request."""
        return await write(info, access_requests.withdraw, input)

    @mutation(
        "Grants a pending request: the requester becomes a member; one who is a member is raised, never lowered.",
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
        "Gives a person access without waiting for a request; a pending request of theirs is granted by it. "
        "addUserPreview looks the person up before.",
        Action.ADD_USER,
    )
    async def add_user(self, info: Info, input: inputs.AddUserInput) -> payloads.AddUserPayload | None:
        """Gives a person access without waiting for a request; a pending request of theirs is granted by it."""
        return await write(info, memberships.add, input)

    @mutation("Changes role and levels of a member, and when their access ends.", Action.UPDATE_MEMBERSHIP)
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
        f"Asks a member to become the primary contact within {NOMINATION_DAYS} days. One nomination at a time.",
        Action.NOMINATE_PRIMARY_CONTACT,
    )
    async def nominate_primary_contact(
        self, info: Info, input: handover_inputs.NominatePrimaryContactInput
    ) -> handover_payloads.NominatePrimaryContactPayload | None:
        """Nominate."""
        return await write(info, nominations.nominate, input)

    @mutation("Takes a pending nomination back.", Action.NOMINATE_PRIMARY_CONTACT)
    async def cancel_nomination(
        self, info: Info, input: handover_inputs.CancelNominationInput
    ) -> handover_payloads.CancelNominationPayload | None:
        """Cancel a nomination."""
        return await write(info, nominations.cancel, input)

    @mutation(
        "Accepts a nomination: the caller becomes the primary contact, the former one a secondary contact or user.",
        Action.ANSWER_NOMINATION,
    )
    async def accept_nomination(
        self, info: Info, input: handover_inputs.AcceptNominationInput
    ) -> handover_payloads.AcceptNominationPayload | None:
        """Accept a nomination."""
        return await write(info, nominations.accept, input)

    @mutation("Declines a nomination; the primary contact stays.", Action.ANSWER_NOMINATION)
    async def decline_nomination(
        self, info: Info, input: handover_inputs.DeclineNominationInput
    ) -> handover_payloads.DeclineNominationPayload | None:
        """Decline a nomination."""
        return await write(info, nominations.decline, input)

    @mutation(
        "Writes a new contact. With the type PRIMARY, it takes that from the contact who has it.",
        Action.CHANGE_CONTACTS,
    )
    async def create_contact(
        self, info: Info, input: contact_inputs.CreateContactInput
    ) -> payloads.CreateContactPayload | None:
        """Writes a new contact."""
        return await write(info, contacts.create, input)

    @mutation(
        "Saves one contact. With the type PRIMARY, it takes that from the contact who has it.",
        Action.CHANGE_CONTACTS,
    )
    async def update_contact(
        self, info: Info, input: contact_inputs.UpdateContactInput
    ) -> payloads.UpdateContactPayload | None:
        """Saves one contact."""
        return await write(info, contacts.update, input)

    @mutation(
        "Saves the whole form of contacts, or nothing; all faults are reported together.",
        Action.CHANGE_CONTACTS,
    )
    async def update_contacts(
        self, info: Info, input: contact_inputs.UpdateContactsInput
    ) -> payloads.UpdateContactsPayload | None:
        """Saves the whole form of contacts, or nothing; all faults of all contacts are reported together."""
        return await write(info, contacts.update_all, input)

    @mutation("Deletes a contact, but not the one with the type PRIMARY.", Action.CHANGE_CONTACTS)
    async def delete_contact(
        self, info: Info, input: contact_inputs.DeleteContactInput
    ) -> payloads.DeleteContactPayload | None:
        """Deletes a contact, but not the one with the type PRIMARY."""
        return await write(info, contacts.delete, input)

    @mutation(
        "Confirms that the contacts of a site were looked through; the next review is due a month later.",
        Action.CHANGE_CONTACTS,
    )
    async def confirm_contact_review(
        self, info: Info, input: preference_inputs.ConfirmContactReviewInput
    ) -> preference_payloads.ConfirmContactReviewPayload | None:
        """Confirms the monthly review."""
        return await write(info, contacts.confirm_review, input)

    @mutation(
        "Sets where and of what one is told by eNotification; contacts of sites are never changed by it.",
        Action.UPDATE_E_NOTIFICATIONS,
    )
    async def update_e_notification_preferences(
        self, info: Info, input: preference_inputs.UpdateENotificationPreferencesInput
    ) -> preference_payloads.UpdateENotificationPreferencesPayload | None:
        """Sets one's own preferences."""
        return await write(info, preferences.update_e_notifications, input)

    @mutation(
        "Subscribes a calendar (iCalendar) to the monthly reminder of a site's contact review, in the language of the "
        "caller. The address works only while the caller is the primary contact.",
        Action.SUBSCRIBE_TO_CALENDAR,
    )
    async def create_calendar_subscription(
        self, info: Info, input: preference_inputs.CreateCalendarSubscriptionInput
    ) -> preference_payloads.CreateCalendarSubscriptionPayload | None:
        """Subscribes a calendar."""
        return await write(info, preferences.subscribe_to_calendar, input)

    @mutation(
        "Revokes a calendar subscription: its address is useless from now on.",
        Action.REVOKE_CALENDAR_SUBSCRIPTION,
    )
    async def revoke_calendar_subscription(
        self, info: Info, input: preference_inputs.RevokeCalendarSubscriptionInput
    ) -> preference_payloads.RevokeCalendarSubscriptionPayload | None:
        """Revokes a calendar subscription."""
        return await write(info, preferences.revoke_calendar, input)

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
