"""Who calls: the first sign-in, anonymous callers, rights of this moment, and the development issuer."""

import asyncio
import stat
import unicodedata
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    get_named_type,
    is_composite_type,
    is_required_argument,
    is_required_input_field,
)
from httpx2 import AsyncClient
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app import development
from app.config import Misconfigured, Settings
from app.db.models import Membership, User
from app.db.outbox import Message
from app.rules import Language, UpdateLevel
from app.schema.query import PUBLIC
from app.schema.schema import executable_schema
from app.server import create_app
from app.site_import import import_document
from tests.access import form, newcomer
from tests.import_examples import document, new_number
from tests.issuer import ABSENT, AUDIENCE, RSA, VIEWER, Service, running_issuer, serving
from tests.world import VIEW, Person, World


@pytest.fixture(scope="module")
async def service(database_url: str) -> AsyncIterator[Service]:
    """The application as in production, and its issuer."""
    with running_issuer(RSA) as issuer:
        async with serving(database_url, issuer) as service:
            yield service


async def events(world: World, ibm_id: str) -> list[Any]:
    """What the history tells of a person, oldest first."""
    statement = sa.text(
        'SELECT * FROM history_event WHERE stream = (SELECT id FROM "user" WHERE lower(ibm_id) = lower(:ibm_id))'
        " ORDER BY number"
    )
    async with world.database.connect() as connection:
        return list(await connection.execute(statement, {"ibm_id": ibm_id}))


async def the_user(world: World, ibm_id: str) -> User:
    """The one user with an IBMid."""
    (user,) = await world.rows(User, sa.func.lower(User.ibm_id) == sa.func.lower(ibm_id))
    assert isinstance(user, User)
    return user


async def change(world: World, person: Person, **values: Any) -> None:
    """Change a user as nobody can through the API."""
    async with AsyncSession(world.database) as session, session.begin():
        await session.execute(sa.update(User).where(User.id == person.user_id).values(**values))


# The first sign-in


async def test_a_user_added_before_is_bound(world: World, service: Service) -> None:
    person = await world.person("Added", newcomer=True)
    claims = {
        "sub": uuid4().hex,
        "preferred_username": person.ibm_id.upper(),
        "email": "Élodie@EXAMPLE.com",
        "given_name": "Élodie ",
        "family_name": "Petit",
        "locale": "fr-CA",
        "azp": "the site's page",
    }
    user = await service.user(service.issuer.token(**claims))
    names = {"firstName": "Élodie", "lastName": "Petit", "language": "FR"}
    assert user == {"id": person.id, "ibmId": person.ibm_id, "email": "Élodie@example.com"} | names
    kept = await the_user(world, person.ibm_id)
    assert (kept.issuer, kept.subject, kept.sort_name) == (
        service.issuer.url,
        claims["sub"],
        "petit elodie",
    )
    (event,) = await events(world, person.ibm_id)
    assert (event.event, event.client, event.site_id) == ("USER_SIGNED_IN_FIRST", "the site's page", None)
    assert event.actor_id == event.subject_id == event.stream == person.user_id
    assert event.actor_name == event.subject_name == "Élodie Petit"
    changed = {name for name, value in event.after.items() if event.before[name] != value}
    assert changed == {"issuer", "subject", "email", "language", "first_name", "last_name", "sort_name"}


async def test_what_others_typed_as_the_email_counts_till_the_first_sign_in_only(
    world: World, service: Service
) -> None:
    wrong, right, ibm_id = await world.site(), await world.site(), newcomer()
    await wrong.primary.succeed("addUser", **form(wrong, ibm_id) | {"email": "else@example.com"})
    before = await right.primary.do("addUser", **form(right, ibm_id))
    assert [error["code"] for error in before["errors"]] == ["EMAIL_MISMATCH"]
    await service.user(service.issuer.token(preferred_username=ibm_id, email=ibm_id))
    await right.primary.succeed("addUser", **form(right, ibm_id))
    [message] = await world.rows(Message, Message.site_id == right.site_id)
    assert message.email == ibm_id


async def test_an_unknown_person_becomes_a_user(world: World, service: Service) -> None:
    ibm_id = f"{uuid4().hex}-İSTANBUL"
    user = await service.user(service.issuer.token(preferred_username=ibm_id, email="new@EXAMPLE.com"))
    assert (user["ibmId"], user["email"], user["language"]) == (ibm_id, "new@example.com", "EN")
    (event,) = await events(world, ibm_id)
    assert (event.event, event.before, event.after["ibm_id"]) == ("USER_REGISTERED", None, ibm_id)
    assert event.subject_id == event.actor_id == (await the_user(world, ibm_id)).id


@pytest.mark.parametrize(
    ("locale", "wished", "language"),
    [(ABSENT, "fr-CA, en;q=0.8", "FR"), ("en", "fr", "EN"), (ABSENT, "de", "EN")],
    ids=["of the request", "of the issuer", "none that we speak"],
)
async def test_a_person_is_written_to_in_the_language_of_their_first_request(
    service: Service, locale: Any, wished: str, language: str
) -> None:
    token = service.issuer.token(preferred_username=newcomer(), sub=uuid4().hex, locale=locale)
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": wished}
    response = await service.client.post("/graphql", json={"query": VIEWER}, headers=headers)
    assert response.json()["data"]["viewer"]["user"]["language"] == language
    headers["Accept-Language"] = "en" if language == "FR" else "fr"
    later = await service.client.post("/graphql", json={"query": VIEWER}, headers=headers)
    assert later.json()["data"]["viewer"]["user"]["language"] == language


@pytest.mark.parametrize(
    ("imported", "locale", "wished", "language"),
    [
        ("FR", ABSENT, "en-US,en;q=0.9", "FR"),
        ("EN", ABSENT, "fr", "EN"),
        (None, ABSENT, "fr", "FR"),
        ("FR", "en", "fr", "EN"),
    ],
    ids=["French", "English", "none", "another than the issuer"],
)
async def test_the_language_of_an_import_counts_for_more_than_that_of_the_first_request(
    database: AsyncEngine, service: Service, imported: str | None, locale: Any, wished: str, language: str
) -> None:
    sites = document(new_number())
    person = sites["sites"][0]["users"][0]
    person["language"] = imported
    await import_document(database, sites, "test")
    token = service.issuer.token(preferred_username=person["ibmId"], locale=locale)
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": wished}
    response = await service.client.post("/graphql", json={"query": VIEWER}, headers=headers)
    assert response.json()["data"]["viewer"]["user"]["language"] == language


async def test_a_download_is_a_first_request_as_well(world: World, service: Service) -> None:
    ibm_id = newcomer()
    token = service.issuer.token(preferred_username=ibm_id, locale=ABSENT)
    headers = {"Authorization": f"Bearer {token}", "Accept-Language": "fr"}
    place = await world.site()
    response = await service.client.get("/history.csv", params={"site": place.id}, headers=headers)
    assert response.status_code == 404
    assert (await the_user(world, ibm_id)).language is Language.FR


async def test_a_user_added_before_is_bound_however_the_characters_are_composed(
    world: World, service: Service
) -> None:
    place, ibm_id = await world.site(), f"rené-{newcomer()}"
    added = await place.primary.succeed("addUser", "membership { user { id } }", **form(place, ibm_id))
    apart = unicodedata.normalize("NFD", ibm_id)
    assert apart != ibm_id
    user = await service.user(service.issuer.token(preferred_username=apart))
    assert (user["id"], user["ibmId"]) == (added["membership"]["user"]["id"], ibm_id)


async def test_an_unknown_person_is_kept_with_composed_characters(service: Service) -> None:
    ibm_id = f"rené-{newcomer()}"
    user = await service.user(service.issuer.token(preferred_username=unicodedata.normalize("NFD", ibm_id)))
    assert user["ibmId"] == ibm_id


async def test_later_sign_ins_change_nothing(world: World, service: Service) -> None:
    claims = {"sub": uuid4().hex, "preferred_username": uuid4().hex, "email": "a@example.com"}
    first = await service.user(service.issuer.token(**claims, given_name="Ann", locale="fr"))
    later = {"given_name": "Bea", "locale": "en", "email": "b@example.com"}
    assert await service.user(service.issuer.token(**claims | later)) == first
    assert len(await events(world, claims["preferred_username"])) == 1


async def test_what_the_token_does_not_say_stays(world: World, service: Service) -> None:
    person = await world.person(newcomer=True)
    kept = {"first_name": "Ann", "last_name": "Dupont", "email": "ann@example.com"}
    await change(world, person, **kept, language=Language.FR)
    user = await service.user(service.issuer.token(preferred_username=person.ibm_id, email=ABSENT))
    assert (user["firstName"], user["lastName"], user["language"]) == ("Ann", "Dupont", "FR")
    assert user["email"] == "ann@example.com"


@pytest.mark.parametrize("name", ["plain", "İSTANBUL", "STRASSE-ß-ẞ", "ΣΊΣΥΦΟΣ"])
async def test_a_second_identity_cannot_take_an_ibm_id(world: World, service: Service, name: str) -> None:
    ibm_id = f"{uuid4().hex}-{name}"
    claims = {"preferred_username": ibm_id, "email": "a@example.com"}
    before = await service.user(service.issuer.token(sub=uuid4().hex, **claims))
    rows = await the_user(world, ibm_id), await events(world, ibm_id)
    subject = uuid4().hex
    await service.turns_away(f"Bearer {service.issuer.token(sub=subject, given_name='Eve', **claims)}")
    lower = {"preferred_username": ibm_id.swapcase() if name == "plain" else ibm_id}
    await service.turns_away(f"Bearer {service.issuer.token(sub=subject, **claims | lower)}")
    after = await the_user(world, ibm_id), await events(world, ibm_id)
    assert (after[0].subject, after[0].first_name) == (rows[0].subject, None) and after[1] == rows[1]
    assert not await world.rows(User, User.subject == subject)
    assert before["ibmId"] == ibm_id


async def test_the_same_subject_of_another_issuer_is_somebody_else(world: World, service: Service) -> None:
    person = await world.person(newcomer=True)
    assert await person.ask("{ viewer { user { id } } }")
    token = service.issuer.token(sub=person.ibm_id, preferred_username=person.ibm_id)
    await service.turns_away(f"Bearer {token}")
    assert (await the_user(world, person.ibm_id)).issuer == development.ISSUER


async def test_a_changed_ibm_id_stays_the_same_user(world: World, service: Service) -> None:
    subject, ibm_id = uuid4().hex, uuid4().hex
    first = await service.user(
        service.issuer.token(sub=subject, preferred_username=ibm_id, email="a@example.com")
    )
    assert await service.user(service.issuer.token(sub=subject)) == first
    other = await world.person(newcomer=True)
    assert await service.user(service.issuer.token(sub=subject, preferred_username=other.ibm_id)) == first
    assert (await the_user(world, other.ibm_id)).subject is None


async def test_first_requests_at_once_bind_once(world: World, service: Service) -> None:
    known, unknown = (await world.person(newcomer=True)).ibm_id, f"{uuid4().hex}@example.com"
    for ibm_id in (known, unknown):
        token = service.issuer.token(preferred_username=ibm_id)
        users = await asyncio.gather(*(service.user(token) for _ in range(8)))
        assert len({user["id"] for user in users}) == 1
        assert len(await events(world, ibm_id)) == 1


async def test_two_identities_at_once_do_not_share_an_ibm_id(world: World, service: Service) -> None:
    ibm_id = f"{uuid4().hex}@example.com"
    mine = [service.issuer.token(preferred_username=ibm_id) for _ in range(6)]
    responses = await asyncio.gather(*(service.post(f"Bearer {token}") for token in mine))
    assert sorted(response.status_code for response in responses) == [200] + [401] * 5
    assert len(await events(world, ibm_id)) == 1


async def test_one_identity_at_once_with_several_ibm_ids(world: World, service: Service) -> None:
    subject = uuid4().hex
    mine = [service.issuer.token(sub=subject) for _ in range(6)]
    users = await asyncio.gather(*(service.user(token) for token in mine))
    assert len({user["id"] for user in users}) == 1
    assert len(await world.rows(User, User.subject == subject)) == 1


# Anonymous callers


def example(kind: Any) -> str:
    """The shortest literal of an input type, such as an object with its required fields only."""
    if isinstance(kind, GraphQLNonNull):
        return example(kind.of_type)
    if isinstance(kind, GraphQLList):
        return "[]"
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        required = ((name, field) for name, field in kind.fields.items() if is_required_input_field(field))
        return "{" + ", ".join(f"{name}: {example(field.type)}" for name, field in required) + "}"
    return {"Boolean": "true", "Int": "1", "DateTime": '"2030-01-01T00:00:00Z"'}.get(kind.name, '"x"')


def call(name: str, field: GraphQLField) -> str:
    """A root field with its required arguments only."""
    required = [(name, one) for name, one in field.args.items() if is_required_argument(one)]
    arguments = ", ".join(f"{name}: {example(one.type)}" for name, one in required)
    selection = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
    return f"{name}({arguments}){selection}" if required else f"{name}{selection}"


def roots(schema: GraphQLSchema) -> list[tuple[str, str]]:
    """Every root field: its name, and a document that asks for it."""
    assert schema.query_type is not None and schema.mutation_type is not None
    kinds = {"query": schema.query_type, "mutation": schema.mutation_type}
    return [
        (name, f"{operation} {{ {call(name, field)} }}")
        for operation, kind in kinds.items()
        for name, field in kind.fields.items()
    ]


@pytest.mark.parametrize(("name", "document"), roots(executable_schema()))
async def test_anonymous_callers_are_asked_to_sign_in(service: Service, name: str, document: str) -> None:
    body = (await service.post(None, document)).json()
    if name in PUBLIC:
        assert "errors" not in body
    else:
        assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAUTHENTICATED"], body
        assert body["data"] in (None, {name: None})


async def test_what_anonymous_callers_get(service: Service) -> None:
    assert set(PUBLIC) == {"viewer", "privilegeCatalog"}
    document = "{ viewer { user { id } } privilegeCatalog { applications { field label } } }"
    data = (await service.post(None, document)).json()["data"]
    assert data["viewer"] is None and len(data["privilegeCatalog"]["applications"]) == 8


# Rights are those of this moment

SITE = "query($id: ID!) { site(id: $id) { number accessRequests(first: 1) { nodes { state } } } }"


async def seen(service: Service, token: str, id: str) -> Any:
    """What a token shows of a site."""
    return (await service.ask(token, SITE.replace("($id: ID!)", "").replace("$id", f'"{id}"')))["site"]


async def test_a_removed_membership_shows_nothing_from_the_next_request_on(
    world: World, service: Service
) -> None:
    place = await world.site()
    member, membership_id = await world.member(place, person=await world.person(newcomer=True))
    token = service.issuer.token(preferred_username=member.ibm_id)
    assert (await seen(service, token, place.id))["number"] == place.number
    await place.primary.succeed("removeMembership", membershipId=membership_id)
    assert await seen(service, token, place.id) is None


async def test_a_lowered_level_holds_from_the_next_request_on(world: World, service: Service) -> None:
    place = await world.site()
    await world.request(place)
    viewer, membership_id = await world.secondary(
        place, person=await world.person(newcomer=True), manage_access=VIEW
    )
    token = service.issuer.token(preferred_username=viewer.ibm_id)
    assert len((await seen(service, token, place.id))["accessRequests"]["nodes"]) == 1
    for level in (UpdateLevel.NONE, VIEW):
        privileges = {"accountManagement": {"manageAccess": level.name}}
        await place.primary.succeed("updateMembership", membershipId=membership_id, privileges=privileges)
        nodes = (await seen(service, token, place.id))["accessRequests"]["nodes"]
        assert len(nodes) == level.rank


async def test_an_ended_membership_shows_nothing(world: World, service: Service) -> None:
    place = await world.site()
    member, _ = await world.member(place, person=await world.person(newcomer=True))
    token = service.issuer.token(preferred_username=member.ibm_id)
    assert await seen(service, token, place.id)
    async with AsyncSession(world.database) as session, session.begin():
        ended = sa.func.now() - sa.text("interval '1 second'")
        statement = sa.update(Membership).where(Membership.user_id == member.user_id)
        await session.execute(statement.values(ends_at=ended))
    assert await seen(service, token, place.id) is None


# The development issuer


async def test_development_tokens_work_in_development_only(
    world: World, settings: Settings, service: Service
) -> None:
    ibm_id = uuid4().hex
    token = development.token_for(settings, ibm_id)
    data = (await Person(world, ibm_id).ask("{ viewer { user { ibmId email } } }"))["viewer"]
    assert data == {"user": {"ibmId": ibm_id, "email": f"{ibm_id}@example.com"}}
    await service.turns_away(f"Bearer {token}")
    foreign = service.issuer.token(iss=development.ISSUER, aud=development.AUDIENCE)
    response = await world.client.post(
        "/graphql", json={"query": "{ __typename }"}, headers={"Authorization": f"Bearer {foreign}"}
    )
    assert response.status_code == 401


def test_the_development_key_is_kept_for_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(development=True, data_directory=tmp_path / "new" / "data")
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: development.key(settings).as_dict(private=True), range(8)))
    assert all(key == keys[0] for key in keys)
    (file,) = settings.data_directory.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("path", ["/", "/development/personas", "/explorer/index.html"])
async def test_the_explorer_exists_in_development_only(
    client: AsyncClient, service: Service, path: str
) -> None:
    assert (await client.get(path)).status_code == 200
    assert (await service.client.get(path)).status_code == 404


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"development": True, "oidc_issuer": "https://issuer.example.com", "oidc_audience": AUDIENCE},
        {"oidc_issuer": "https://issuer.example.com"},
        {"oidc_algorithms": ["none"]},
        {"oidc_algorithms": ["RS256", "None"]},
        {"oidc_algorithms": ["HS256"]},
        {"oidc_algorithms": ["hs512", "ES256"]},
    ],
    ids=str,
)
def test_dangerous_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(**{"development": False} | wrong)


def test_the_application_needs_somebody_who_signs_tokens(database_url: str) -> None:
    with pytest.raises(Misconfigured, match="OIDC_ISSUER"):
        create_app(Settings(database_url=database_url, development=False))
    with pytest.raises(Misconfigured, match="DATABASE_URL"):
        create_app(Settings(database_url=None, development=True))
