"""Every mutation with an input that is right, for what must hold of all of them."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
)

from app.rules import ContactType
from app.schema.schema import executable_schema
from tests.test_ids import ALL, PERSON, ids_of
from tests.world import CONTACT, UPDATE, Person, Place, World, ago

SCHEMA = executable_schema()
assert SCHEMA.mutation_type is not None
MUTATIONS = list(SCHEMA.mutation_type.fields)
ID = re.compile(r"([a-z_]+)_[0-9a-f]{32,64}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)")
SECRETS = {"secret", "url"}
"""What is made anew every time; the address of a webhook stays what it is."""
UNCOMPARED = {"edges", "pageInfo", "deliveries", "messages"}
"""Cursors hold ids; deliveries and messages queued in the same millisecond stand in no order."""
Input = dict[str, Any]


async def valid(world: World, place: Place, mutation: str) -> tuple[Person, Input]:
    """Somebody who may do it at a site, and an input that does something there."""
    field, rest = ALL[mutation]
    match mutation:
        case "withdrawAccessRequest":
            person, request_id = await world.request(place)
            return person, {field: request_id}
        case "leaveSite":
            return (await world.member(place))[0], {field: place.id}
        case "requestAccess":
            return await world.person(), {field: place.number, "justification": "Audit"}
        case "updateENotificationPreferences":
            return place.primary, {field: "new@example.com", "topics": ["NEW_VERSIONS"]}
        case "updateContacts":
            contact_id = await world.contact(place, [ContactType.BILLING])
            return place.primary, {field: place.id, "contacts": [{"contactId": contact_id, **CONTACT}]}
        case "addUsers":
            return place.primary, {
                field: place.id,
                "items": [PERSON, PERSON | {"ibmId": "other@example.com"}],
            }
        case "updateMemberships" | "removeMemberships":
            ids = [(await world.member(place))[1] for _ in range(3)]
            change = {"role": "SECONDARY_CONTACT"} if mutation == "updateMemberships" else {}
            return place.primary, {field: place.id, "items": [{"membershipId": id, **change} for id in ids]}
        case "grantAccessRequests" | "denyAccessRequests":
            ids = [(await world.request(place))[1] for _ in range(3)]
            items = [rest["items"][0] | {"accessRequestId": id} for id in ids]
            return place.primary, {field: place.id, "items": items}
        case "updateWebhook":
            rest = {"description": "New"}
        case "updateSiteRules":
            rest = {"secondPersonConfirms": True, "pendingRequestDays": 7}
        case "updatePrivilegeTemplate":
            rest = {"name": "New"}
        case "confirmNaming":
            ids = await ids_of(world, place)
            return (await world.secondary(place, manage_access=UPDATE))[0], {field: ids[field]}
        case "requestExtension" | "requestHigherLevel":
            member, _ = await world.member(place, ends_at=ago(days=-30))
            return member, {field: place.id, **rest}
        case "nominatePrimaryContact":
            nominee = (await world.member(place))[1]
            return place.primary, {field: place.id, **rest, "membershipId": nominee}
        case "acceptNomination" | "declineNomination":
            nominee, membership_id = await world.member(place)
            return nominee, {field: await world.nomination(place, membership_id)}
    return place.primary, {field: (await ids_of(world, place))[field], **rest}


@cache
def everything(mutation: str, depth: int = 3) -> str:
    """All of the payload but its errors; it is as deep as one document may go, if nothing else is said."""
    payload: Any = SCHEMA.type_map[f"{mutation[0].upper()}{mutation[1:]}Payload"]
    return " ".join(_fields({name: one for name, one in payload.fields.items() if name != "errors"}, depth))


def _fields(fields: dict[str, GraphQLField], depth: int) -> Iterator[str]:
    for name, field in fields.items():
        below = get_named_type(field.type)
        if any(is_required_argument(one) for one in field.args.values()):
            continue
        if is_leaf_type(below):
            yield name
        elif isinstance(below, GraphQLInterfaceType):
            leaves = [leaf for leaf, one in below.fields.items() if is_leaf_type(get_named_type(one.type))]
            yield f"{name} {{ __typename {' '.join(leaves)} }}"
        elif isinstance(below, GraphQLUnionType):
            yield f"{name} {{ __typename }}"
        elif depth and name not in UNCOMPARED:
            inner = " ".join(_fields(below.fields, depth - 1))  # type: ignore[union-attr]
            first = "(first: 5)" if "first" in field.args else ""
            yield f"{name}{first} {{ {inner or '__typename'} }}"


def differences(one: Any, other: Any, *path: Any) -> list[Any]:
    """Where two answers differ, but for new ids, moments and secrets."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [found for key in one for found in differences(one[key], other[key], *path, key)]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for index, pair in pairs for found in differences(*pair, *path, index)]
    if isinstance(one, str) and isinstance(other, str):
        same = path[-1] in SECRETS or _without_new(one) == _without_new(other)
        return [] if same else [(path, one, other)]
    return [] if one == other else [(path, one, other)]


def _without_new(text: str) -> str:
    return MOMENT.sub("moment", ID.sub(r"\1", text))
