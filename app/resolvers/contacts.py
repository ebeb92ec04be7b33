"""Writes on contacts: create, update one or the whole form, delete."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.contact_rules import check_contact
from app.context import Transaction
from app.db.models import Contact, Site
from app.errors import Code, Fault, UserError, refuse
from app.history import Values, values_of
from app.policy import Action
from app.query.ids import parse_id
from app.rules import BATCH_LIMIT, ContactType, Event, check_version
from app.schema.contact_inputs import (
    CreateContactInput,
    DeleteContactInput,
    UpdateContactInput,
    UpdateContactsInput,
)
from app.schema.preference_inputs import ConfirmContactReviewInput

PRIMARY = ContactType.PRIMARY


@dataclass
class Change:
    """A contact and the values it shall have; `path` is where the form of it stands in the input."""

    contact: Contact
    values: dict[str, Any]
    path: tuple[str | int, ...] = ()

    @property
    def drops_primary(self) -> bool:
        """Whether the contact is the primary contact record and shall not be any more."""
        return PRIMARY in self.contact.types and PRIMARY not in self.values["types"]


async def create(tx: Transaction, input: CreateContactInput) -> dict[str, Any]:
    """Write a new contact; with PRIMARY, it takes that from the one who has it."""
    site = await tx.fetch(Site, input.site_id, Action.CHANGE_CONTACTS, "siteId")
    values, faults = check_contact(input)
    contact = Contact(site_id=site.id, types=[])
    await _save(tx, site.id, [Change(contact, values)], faults)
    return {"contact_id": contact.id, "site_id": site.id}


async def update(tx: Transaction, input: UpdateContactInput) -> dict[str, Any]:
    """Save one contact."""
    contact = await tx.fetch(Contact, input.contact_id, Action.CHANGE_CONTACTS, "contactId")
    values, faults = check_contact(input)
    faults = [*check_version(input.expected_version, contact.version, contact_id=contact.id), *faults]
    await _save(tx, contact.site_id, [Change(contact, values)], faults)
    return {"contact_id": contact.id, "site_id": contact.site_id}


async def update_all(tx: Transaction, input: UpdateContactsInput) -> dict[str, Any]:
    """Save the whole form, or nothing, with all faults of all contacts."""
    site = await tx.fetch(Site, input.site_id, Action.CHANGE_CONTACTS, "siteId")
    if len(input.contacts) > BATCH_LIMIT:
        raise refuse(Code.TOO_MANY, "contacts", limit=BATCH_LIMIT)
    existing = {contact.id: contact for contact in await _contacts(tx, site.id)}
    changes: dict[UUID, Change] = {}
    faults: list[Fault] = []
    for index, form in enumerate(input.contacts):
        key, found = _key(form.contact_id, existing, changes)
        values, more = check_contact(form)
        if key:
            found = list(check_version(form.expected_version, existing[key].version, contact_id=key))
        faults += [fault.under("contacts", index) for fault in (*found, *more)]
        if key:
            changes[key] = Change(existing[key], values, ("contacts", index))
    await _save(tx, site.id, list(changes.values()), faults)
    return {"site_id": site.id}


def _key(
    id: str, existing: dict[UUID, Contact], taken: dict[UUID, Change]
) -> tuple[UUID | None, list[Fault]]:
    """Which contact of the site an item of the form speaks of."""
    parsed, path = parse_id(id), ("contactId",)
    if not parsed or parsed[0] != "contact":
        return None, [Fault(code=Code.WRONG_ID_KIND, path=path, parameters={"expected": "Contact"})]
    if parsed[1] not in existing:
        return None, [Fault(code=Code.NOT_FOUND, path=path)]
    if parsed[1] in taken:
        return None, [Fault(code=Code.DUPLICATE, path=path)]
    return parsed[1], []


async def delete(tx: Transaction, input: DeleteContactInput) -> dict[str, Any]:
    """Delete a contact, but not the primary contact record."""
    contact = await tx.fetch(Contact, input.contact_id, Action.CHANGE_CONTACTS, "contactId")
    if PRIMARY in contact.types:
        raise refuse(Code.PRIMARY_CONTACT_TYPE_REQUIRED, "contactId")
    tx.record(Event.CONTACT_DELETED, contact, name=contact.name, before=values_of(contact))
    tx.session.delete(contact)
    return {"removed": contact.id, "site_id": contact.site_id}


async def confirm_review(tx: Transaction, input: ConfirmContactReviewInput) -> dict[str, Any]:
    """Write down that the contacts were looked through, by whom, and when."""
    site = await tx.fetch(Site, input.site_id, Action.CHANGE_CONTACTS, "siteId")
    before = values_of(site)
    site.contacts_reviewed_at, site.contacts_reviewed_by_id = datetime.now(UTC), tx.actor.user_id
    tx.record(Event.CONTACTS_REVIEWED, site, name=site.name, before=before, after=values_of(site))
    return {"site_id": site.id}


async def _contacts(tx: Transaction, site_id: UUID) -> list[Contact]:
    return list(await tx.session.scalars(sa.select(Contact).where(Contact.site_id == site_id)))


async def _save(tx: Transaction, site_id: UUID, changes: list[Change], faults: list[Fault]) -> None:
    """Write contacts so that exactly one of the site is its primary contact record afterwards.

    `faults` are those of the forms: they are reported together with those of the contacts as a whole.
    """
    holder = await _former_holder(tx, site_id, changes)
    faults = [*faults, *_check_primary(changes, holder)]
    if faults:
        raise UserError(*faults)
    # Whoever loses PRIMARY goes first: the database never lets two contacts hold it, not even in between.
    if holder is not None:
        old = values_of(holder)
        holder.types = [kind for kind in holder.types if kind is not PRIMARY]
        await tx.session.flush()
        tx.record(Event.CONTACT_UPDATED, holder, name=holder.name, before=old, after=values_of(holder))
    for change in sorted(changes, key=lambda change: not change.drops_primary):
        before = values_of(change.contact) if change.contact.id else None
        goes_first = change.drops_primary
        for name, value in change.values.items():
            if getattr(change.contact, name) != value:
                setattr(change.contact, name, value)
        tx.session.add(change.contact)
        if goes_first:
            await tx.session.flush()
        _record(tx, change.contact, before)


def _record(tx: Transaction, contact: Contact, before: Values | None) -> None:
    after = values_of(contact)
    event = Event.CONTACT_UPDATED if before else Event.CONTACT_CREATED
    if after != before:
        tx.record(event, contact, name=contact.name, before=before, after=after)


async def _former_holder(tx: Transaction, site_id: UUID, changes: list[Change]) -> Contact | None:
    """The contact outside of the form that loses PRIMARY to one in it."""
    if not any(PRIMARY in change.values["types"] for change in changes):
        return None
    in_form = {change.contact.id for change in changes}
    others = [contact for contact in await _contacts(tx, site_id) if contact.id not in in_form]
    return next((contact for contact in others if PRIMARY in contact.types), None)


def _check_primary(changes: list[Change], holder: Contact | None) -> list[Fault]:
    takers = [change for change in changes if PRIMARY in change.values["types"]]
    droppers = [change for change in changes if change.drops_primary]
    if len(takers) > 1:
        return [_fault(Code.SEVERAL_PRIMARY_CONTACTS, change) for change in takers]
    if droppers and not takers:
        return [_fault(Code.PRIMARY_CONTACT_TYPE_REQUIRED, change) for change in droppers]
    if holder is not None and holder.types == [PRIMARY]:
        return [_fault(Code.CONTACT_TYPE_REQUIRED, takers[0], name=holder.name)]
    return []


def _fault(code: Code, change: Change, **parameters: Any) -> Fault:
    return Fault(code=code, path=(*change.path, "types"), parameters=parameters)
