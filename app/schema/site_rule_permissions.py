"""What the caller may do with a naming or a privilege template, and if not, why."""

import sqlalchemy as sa
import strawberry

from app.db.deciders import Decider
from app.db.models import AccessRequest, Membership
from app.db.site_rules import Naming
from app.errors import Code
from app.policy import Action
from app.rules import SECONDARY_CONTACT_SEATS, AccessRequestState
from app.schema.obstacles import obstacle
from app.schema.permissions import Permission, permission
from app.site_rules import NamingState

NAMING_CLOSED = obstacle(Code.NAMING_CLOSED, lambda _: Naming.state != NamingState.PENDING)
REQUEST_EXPIRED = obstacle(
    Code.REQUEST_CLOSED,
    lambda _: (
        sa.exists()
        .where(
            AccessRequest.site_id == Naming.site_id,
            AccessRequest.id == Naming.access_request_id,
            AccessRequest.current_state != AccessRequestState.PENDING,
        )
        .correlate(Naming)
    ),
)
PROPOSER_NOT_ALLOWED = obstacle(
    Code.PROPOSER_NOT_ALLOWED,
    lambda _: (
        ~sa.exists()
        .where(Decider.site_id == Naming.site_id, Decider.user_id == Naming.proposed_by_id)
        .correlate(Naming)
    ),
)
END_PASSED = obstacle(
    Code.END_IN_PAST, lambda _: sa.and_(Naming.ends_at.is_not(None), Naming.ends_at <= sa.func.now())
)
_SEATS = sa.select(sa.func.count()).where(Membership.site_id == Naming.site_id, Membership.seat.is_not(None))
_OTHERS_SEATS = _SEATS.where(Membership.user_id != Naming.user_id).correlate(Naming).scalar_subquery()
NO_SEAT = obstacle(
    Code.SECONDARY_CONTACT_LIMIT,
    lambda _: _OTHERS_SEATS >= SECONDARY_CONTACT_SEATS,
    limit=SECONDARY_CONTACT_SEATS,
)


@strawberry.type(description="What the caller may do with a naming, and if not, why.")
class NamingPermissions:
    """What the caller may do with a naming."""

    confirm: Permission = permission(
        Action.CONFIRM_NAMING,
        "Confirm it, by confirmNaming; levels that the proposer may not give any more are told by the mutation only.",
        NAMING_CLOSED,
        REQUEST_EXPIRED,
        PROPOSER_NOT_ALLOWED,
        END_PASSED,
        NO_SEAT,
    )
    reject: Permission = permission(
        Action.REJECT_NAMING, "Reject it, or take it back, by rejectNaming.", NAMING_CLOSED
    )


@strawberry.type(description="What the caller may do with a privilege template, and if not, why.")
class PrivilegeTemplatePermissions:
    """What the caller may do with a template."""

    update: Permission = permission(
        Action.MANAGE_PRIVILEGE_TEMPLATES, "Change it, by updatePrivilegeTemplate."
    )
    delete: Permission = permission(
        Action.MANAGE_PRIVILEGE_TEMPLATES, "Delete it, by deletePrivilegeTemplate."
    )
