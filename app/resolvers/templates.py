"""Writes on privilege templates, and the levels that they give."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.context import Transaction, key_in
from app.db.models import Site
from app.db.site_rules import PrivilegeTemplate
from app.errors import Code, UserError, refuse
from app.history import values_of
from app.policy import Action
from app.resolvers.giving import levels_in
from app.rules import NAME_LENGTH, PRIVILEGES, Event, Level, check_version
from app.schema.inputs import PrivilegesInput, levels
from app.schema.site_rule_inputs import (
    CreatePrivilegeTemplateInput,
    DeletePrivilegeTemplateInput,
    UpdatePrivilegeTemplateInput,
)
from app.site_rules import TEMPLATE_SLOTS
from app.texts import check_text, tidy

MANAGE = Action.MANAGE_PRIVILEGE_TEMPLATES


async def create(tx: Transaction, input: CreatePrivilegeTemplateInput) -> dict[str, Any]:
    """Create a template. Raises TEMPLATE_NAME_TAKEN, and TEMPLATE_LIMIT when the site has its fifty."""
    site = await tx.fetch(Site, input.site_id, MANAGE, "siteId")
    faults = list(check_text(input.name, NAME_LENGTH, "name"))
    if faults:
        raise UserError(*faults)
    template = PrivilegeTemplate(
        site_id=site.id, slot=await _free_slot(tx, site.id), name=tidy(input.name), **levels(input.privileges)
    )
    await _check_name(tx, template)
    tx.session.add(template)
    tx.record(Event.PRIVILEGE_TEMPLATE_CREATED, template, name=template.name, after=values_of(template))
    return {"privilege_template_id": template.id, "site_id": site.id}


async def update(tx: Transaction, input: UpdatePrivilegeTemplateInput) -> dict[str, Any]:
    """Change a template: its name, its levels as a whole. Raises TEMPLATE_NAME_TAKEN."""
    template = await tx.fetch(PrivilegeTemplate, input.privilege_template_id, MANAGE, "privilegeTemplateId")
    faults = list(check_version(input.expected_version, template.version, privilege_template_id=template.id))
    if input.name is not None:
        faults += check_text(input.name, NAME_LENGTH, "name")
    if faults:
        raise UserError(*faults)
    before = values_of(template)
    template.name = tidy(input.name) or template.name
    if input.privileges is not None:
        given = levels(input.privileges)
        for name in PRIVILEGES:
            setattr(template, name, given.get(name))
    await _check_name(tx, template)
    after = values_of(template)
    if after != before:
        event = Event.PRIVILEGE_TEMPLATE_UPDATED
        tx.record(event, template, name=template.name, before=before, after=after)
    return {"privilege_template_id": template.id, "site_id": template.site_id}


async def delete(tx: Transaction, input: DeletePrivilegeTemplateInput) -> dict[str, Any]:
    """Delete a template; what was given by it stays."""
    template = await tx.fetch(PrivilegeTemplate, input.privilege_template_id, MANAGE, "privilegeTemplateId")
    tx.record(Event.PRIVILEGE_TEMPLATE_DELETED, template, name=template.name, before=values_of(template))
    tx.session.delete(template)
    return {"removed": template.id, "site_id": template.site_id}


async def levels_given(
    tx: Transaction, site_id: UUID, template_id: str | None, privileges: PrivilegesInput | None
) -> dict[str, Level]:
    """The levels of a template, each replaced by the one that is given beside it.

    Raises WRONG_ID_KIND, and NOT_FOUND for a template of another site.
    """
    given = levels(privileges)
    if template_id is None:
        return given
    key = key_in(template_id, PrivilegeTemplate, "templateId")
    template = await tx.session.get(PrivilegeTemplate, (site_id, key))
    if template is None:
        raise refuse(Code.NOT_FOUND, "templateId")
    return levels_in(template) | given


async def _check_name(tx: Transaction, template: PrivilegeTemplate) -> None:
    same = sa.func.lower(PrivilegeTemplate.name) == sa.func.lower(template.name)
    others = sa.select(PrivilegeTemplate.id).where(
        PrivilegeTemplate.site_id == template.site_id, PrivilegeTemplate.id != template.id, same
    )
    with tx.session.no_autoflush():
        taken = await tx.session.scalar(others)
    if taken is not None:
        raise refuse(Code.TEMPLATE_NAME_TAKEN, "name")


async def _free_slot(tx: Transaction, site_id: UUID) -> int:
    taken = await tx.session.scalars(
        sa.select(PrivilegeTemplate.slot).where(PrivilegeTemplate.site_id == site_id)
    )
    free = set(range(1, TEMPLATE_SLOTS + 1)) - set(taken)
    if not free:
        raise refuse(Code.TEMPLATE_LIMIT, limit=TEMPLATE_SLOTS, current=TEMPLATE_SLOTS)
    return min(free)
