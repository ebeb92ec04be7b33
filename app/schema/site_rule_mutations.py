"""The mutations on a site's rules, blocked requesters, privilege templates and namings."""

import strawberry
from strawberry.types import Info

from app.policy import Action
from app.resolvers import blocking, namings, site_rules, templates
from app.schema import site_rule_inputs as inputs
from app.schema import site_rule_payloads as payloads
from app.schema.writing import mutation, write


@strawberry.type(description="What can be changed about the rules of a site.")
class SiteRuleMutations:
    """What can be changed about the rules of a site."""

    @mutation(
        "Changes the rules of a site: whether nobody may give a level above their own, whether a second person "
        "confirms the naming of a secondary contact, and after how many days new access requests expire.",
        Action.UPDATE_SITE_RULES,
    )
    async def update_site_rules(
        self, info: Info, input: inputs.UpdateSiteRulesInput
    ) -> payloads.UpdateSiteRulesPayload | None:
        """Changes the rules of a site."""
        return await write(info, site_rules.update, input)

    @mutation(
        "Keeps a person's access requests from reaching a site, a pending one included. They are answered as if they "
        "did, and may still be added by addUser.",
        Action.MANAGE_BLOCKED_REQUESTERS,
    )
    async def block_requester(
        self, info: Info, input: inputs.BlockRequesterInput
    ) -> payloads.BlockRequesterPayload | None:
        """Blocks a requester."""
        return await write(info, blocking.block, input)

    @mutation(
        "Lets a person's access requests reach the site again, a pending one included.",
        Action.MANAGE_BLOCKED_REQUESTERS,
    )
    async def unblock_requester(
        self, info: Info, input: inputs.UnblockRequesterInput
    ) -> payloads.UnblockRequesterPayload | None:
        """Unblocks a requester."""
        return await write(info, blocking.unblock, input)

    @mutation(
        "Creates a privilege template: levels under a name, to be given together by templateId.",
        Action.MANAGE_PRIVILEGE_TEMPLATES,
    )
    async def create_privilege_template(
        self, info: Info, input: inputs.CreatePrivilegeTemplateInput
    ) -> payloads.CreatePrivilegeTemplatePayload | None:
        """Creates a privilege template."""
        return await write(info, templates.create, input)

    @mutation(
        "Changes a privilege template. What was given by it stays as it is.",
        Action.MANAGE_PRIVILEGE_TEMPLATES,
    )
    async def update_privilege_template(
        self, info: Info, input: inputs.UpdatePrivilegeTemplateInput
    ) -> payloads.UpdatePrivilegeTemplatePayload | None:
        """Changes a privilege template."""
        return await write(info, templates.update, input)

    @mutation(
        "Deletes a privilege template. What was given by it stays as it is.",
        Action.MANAGE_PRIVILEGE_TEMPLATES,
    )
    async def delete_privilege_template(
        self, info: Info, input: inputs.DeletePrivilegeTemplateInput
    ) -> payloads.DeletePrivilegeTemplatePayload | None:
        """Deletes a privilege template."""
        return await write(info, templates.delete, input)

    @mutation(
        "Confirms the naming of a secondary contact, which takes effect by it. Everything is checked again, the rights "
        "of whoever proposed it included.",
        Action.CONFIRM_NAMING,
    )
    async def confirm_naming(
        self, info: Info, input: inputs.ConfirmNamingInput
    ) -> payloads.ConfirmNamingPayload | None:
        """Confirms the naming of a secondary contact."""
        return await write(info, namings.confirm, input)

    @mutation(
        "Rejects the naming of a secondary contact; whoever proposed it takes it back by this.",
        Action.REJECT_NAMING,
    )
    async def reject_naming(
        self, info: Info, input: inputs.RejectNamingInput
    ) -> payloads.RejectNamingPayload | None:
        """Rejects the naming of a secondary contact."""
        return await write(info, namings.reject, input)
