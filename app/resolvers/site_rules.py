"""Writes on the rules of a site."""

from typing import Any

import strawberry

from app.context import Transaction
from app.db.models import Site
from app.errors import UserError
from app.history import values_of
from app.policy import Action
from app.rules import Event, check_version
from app.schema.site_rule_inputs import UpdateSiteRulesInput
from app.site_rules import check_days


async def update(tx: Transaction, input: UpdateSiteRulesInput) -> dict[str, Any]:
    """Change the rules of a site; what is left out stays as it is."""
    site = await tx.fetch(Site, input.site_id, Action.UPDATE_SITE_RULES, "siteId")
    days = input.pending_request_days
    if days is strawberry.UNSET:
        days = site.pending_request_days
    faults = list(check_version(input.expected_version, site.version, site_id=site.id))
    if days != site.pending_request_days:
        faults += check_days(days)
    if faults:
        raise UserError(*faults)
    before = values_of(site)
    site.pending_request_days = days
    if input.grant_at_most_what_you_hold is not None:
        site.grant_at_most_held = input.grant_at_most_what_you_hold
    if input.second_person_confirms is not None:
        site.second_person_confirms = input.second_person_confirms
    after = values_of(site)
    if after != before:
        tx.record(Event.SITE_RULES_UPDATED, site, name=site.name, before=before, after=after)
    return {"site_id": site.id}
