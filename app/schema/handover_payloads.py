"""What the mutations answer by which the primary contact is handed over, and members ask for more."""

import strawberry

from app.db import models as m
from app.db import nominations as n
from app.schema.nominations import Nomination
from app.schema.payloads import ACCESS_REQUEST, SITE, Payload, one
from app.schema.types import AccessRequest, Membership, Site

NOMINATION = "The nomination as it is now."


@strawberry.type(description="Answer of nominatePrimaryContact.")
class NominatePrimaryContactPayload(Payload):
    """A new nomination."""

    nomination: Nomination | None = one(n.Nomination, "nomination_id", "The new nomination.")
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of cancelNomination.")
class CancelNominationPayload(Payload):
    """A cancelled nomination."""

    nomination: Nomination | None = one(n.Nomination, "nomination_id", NOMINATION)
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of acceptNomination.")
class AcceptNominationPayload(Payload):
    """A hand-over."""

    nomination: Nomination | None = one(n.Nomination, "nomination_id", NOMINATION)
    membership: Membership | None = one(
        m.Membership, "membership_id", "The caller's membership, now that of the primary contact."
    )
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of declineNomination.")
class DeclineNominationPayload(Payload):
    """A declined nomination."""

    nomination: Nomination | None = one(n.Nomination, "nomination_id", NOMINATION)
    site: Site | None = one(m.Site, "site_id", SITE)


@strawberry.type(description="Answer of requestExtension.")
class RequestExtensionPayload(Payload):
    """A request for a later end."""

    access_request: AccessRequest | None = one(m.AccessRequest, "access_request_id", ACCESS_REQUEST)


@strawberry.type(description="Answer of requestHigherLevel.")
class RequestHigherLevelPayload(Payload):
    """A request for higher levels."""

    access_request: AccessRequest | None = one(m.AccessRequest, "access_request_id", ACCESS_REQUEST)
