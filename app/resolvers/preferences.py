"""Writes of what people set for themselves: eNotifications and calendar subscriptions."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.calendar_links import hash_of, new_secret
from app.contact_rules import check_typed_email
from app.context import Transaction
from app.db.models import Site, User
from app.db.preferences import CalendarSubscription, ENotificationPreference
from app.errors import Code, Fault, UserError, refuse
from app.history import Values, values_of
from app.policy import Action
from app.rules import CALENDAR_SUBSCRIPTIONS, Event, Topic, check_version
from app.schema.preference_inputs import (
    CreateCalendarSubscriptionInput,
    RevokeCalendarSubscriptionInput,
    UpdateENotificationPreferencesInput,
)


async def update_e_notifications(
    tx: Transaction, input: UpdateENotificationPreferencesInput
) -> dict[str, Any]:
    """Set the caller's own preferences."""
    user = await _caller(tx)
    tx.require(Action.UPDATE_E_NOTIFICATIONS, user)
    email, faults = (None, []) if input.email is None else check_typed_email(input.email, "email")
    if len(set(input.topics)) < len(input.topics):
        faults = [*faults, Fault(code=Code.DUPLICATE, path=("topics",))]
    found = await tx.session.get(ENotificationPreference, user.id)
    present = found.version if found else 0
    faults = [*check_version(input.expected_version, present, user_id=user.id), *faults]
    if faults:
        raise UserError(*faults)
    before = values_of(found) if found else None
    preference = found or ENotificationPreference(user_id=user.id)
    preference.email = email
    preference.topics = [topic for topic in Topic if topic in input.topics]
    tx.session.add(preference)
    after = values_of(preference)
    if after != before:
        tx.record(Event.E_NOTIFICATIONS_UPDATED, preference, name=user.name, before=before, after=after)
    return {"user_id": user.id}


async def subscribe_to_calendar(tx: Transaction, input: CreateCalendarSubscriptionInput) -> dict[str, Any]:
    """Make the secret address of a calendar. Raises CALENDAR_SUBSCRIPTION_LIMIT when the caller has too many."""
    site = await tx.fetch(Site, input.site_id, Action.SUBSCRIBE_TO_CALENDAR, "siteId")
    user = await _caller(tx)
    secret = new_secret()
    subscription = CalendarSubscription(
        site_id=site.id, user_id=user.id, slot=await _free_slot(tx, user.id), secret_hash=hash_of(secret)
    )
    tx.session.add(subscription)
    tx.record(Event.CALENDAR_SUBSCRIBED, subscription, name=user.name, after=_values(subscription))
    return {"calendar_subscription_id": subscription.id, "secret": secret}


async def revoke_calendar(tx: Transaction, input: RevokeCalendarSubscriptionInput) -> dict[str, Any]:
    """Delete a subscription; what it was stays in the history."""
    subscription = await tx.fetch(
        CalendarSubscription,
        input.calendar_subscription_id,
        Action.REVOKE_CALENDAR_SUBSCRIPTION,
        "calendarSubscriptionId",
    )
    name = (await tx.session.get_one(User, subscription.user_id)).name
    tx.record(Event.CALENDAR_REVOKED, subscription, name=name, before=_values(subscription))
    tx.session.delete(subscription)
    return {"removed": subscription.id}


async def _caller(tx: Transaction) -> User:
    """The caller's own row, locked: what they set for themselves takes turns."""
    statement = sa.select(User).where(User.id == tx.actor.user_id).with_for_update(key_share=True)
    return (await tx.session.scalars(statement)).one()


async def _free_slot(tx: Transaction, user_id: UUID) -> int:
    taken = await tx.session.scalars(
        sa.select(CalendarSubscription.slot).where(CalendarSubscription.user_id == user_id)
    )
    free = set(range(1, CALENDAR_SUBSCRIPTIONS + 1)) - set(taken)
    if not free:
        raise refuse(
            Code.CALENDAR_SUBSCRIPTION_LIMIT, limit=CALENDAR_SUBSCRIPTIONS, current=CALENDAR_SUBSCRIPTIONS
        )
    return min(free)


def _values(subscription: CalendarSubscription) -> Values:
    """What the history keeps of a subscription: all but the hash of its secret."""
    values = values_of(subscription)
    del values["secret_hash"]
    return values
