"""What mutations on a site's rules, blocked requesters, templates and namings answer."""

import strawberry

from app.db import models as m
from app.db import site_rules as r
from app.schema.namings import Naming
from app.schema.payloads import ACCESS_REQUEST, SITE, Payload, deleted, one
from app.schema.privilege_templates import PrivilegeTemplate
from app.schema.site_rules import BlockedRequester
from app.schema.types import AccessRequest, Membership, Site

NAMING = "The naming as it is now."


@strawberry.type(description="Answer of updateSiteRules.")
class UpdateSiteRulesPayload(Payload):
    """Changed rules."""

    site: Site | None = one(m.Site, "site_id", "The site with its rules as they are now.")


@strawberry.type(description="Answer of blockRequester.")
class BlockRequesterPayload(Payload):
    """A blocked requester."""

    blocked_requester: BlockedRequester | None = one(
        r.BlockedRequester, "blocked_requester_id", "The blocked requester."
    )
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of unblockRequester.")
class UnblockRequesterPayload(Payload):
    """An unblocked requester."""

    unblocked_requester_id: strawberry.ID | None = deleted(
        "blocked_requester", "The id the blocked requester had."
    )
    access_request: AccessRequest | None = one(
        m.AccessRequest,
        "access_request_id",
        "The person's pending request, which reaches the site now; null when there is none.",
    )
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of createPrivilegeTemplate.")
class CreatePrivilegeTemplatePayload(Payload):
    """A new template."""

    privilege_template: PrivilegeTemplate | None = one(
        r.PrivilegeTemplate, "privilege_template_id", "The new template."
    )
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of updatePrivilegeTemplate.")
class UpdatePrivilegeTemplatePayload(Payload):
    """A changed template."""

    privilege_template: PrivilegeTemplate | None = one(
        r.PrivilegeTemplate, "privilege_template_id", "The template as it is now."
    )
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of deletePrivilegeTemplate.")
class DeletePrivilegeTemplatePayload(Payload):
    """A deleted template."""

    deleted_privilege_template_id: strawberry.ID | None = deleted(
        "privilege_template", "The id the template had."
    )
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of confirmNaming.")
class ConfirmNamingPayload(Payload):
    """A confirmed naming."""

    naming: Naming | None = one(r.Naming, "naming_id", NAMING)
    membership: Membership | None = one(
        m.Membership, "membership_id", "The membership that was made or changed."
    )
    access_request: AccessRequest | None = one(m.AccessRequest, "access_request_id", ACCESS_REQUEST)
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of rejectNaming.")
class RejectNamingPayload(Payload):
    """A rejected naming."""

    naming: Naming | None = one(r.Naming, "naming_id", NAMING)
    site: Site | None = one(m.Site, "site_id", SITE)
