"""The form of a contact: what is required, what each country asks for, and how it is kept."""

from typing import Any

import phonenumbers
import pytest

from app.rules import ContactType
from tests.world import CONTACT, Place, World

COUNTRIES = ["FR", "US", "CA", "GB", "IE", "HK", "SG", "AE"]
DETAILS = "contact { firstName lastName email types details { phone address city stateOrProvince postalCode country } }"
ANYWHERE = CONTACT | {"phone": "+33 1 42 68 53 00"}
"""A form whose telephone number is right in every country."""


def located(country: str, state: str | None, postal_code: str | None) -> dict[str, Any]:
    return ANYWHERE | {"country": country, "stateOrProvince": state, "postalCode": postal_code}


async def kept(place: Place, form: dict[str, Any]) -> dict[str, Any]:
    """The contact as it is kept."""
    payload = await place.primary.succeed("createContact", DETAILS, siteId=place.id, **form)
    contact: dict[str, Any] = payload["contact"]
    return contact


async def refused(world: World, form: dict[str, Any]) -> list[tuple[str, str]]:
    """Code and path of every fault, by path; a new contact and an old one are refused alike."""
    place = await world.site()
    contact_id = await world.contact(place, [ContactType.BILLING])
    refusal = await place.primary.refused("createContact", siteId=place.id, **form)
    assert await place.primary.refused("updateContact", contactId=contact_id, **form) == refusal
    return sorted(refusal, key=lambda fault: fault[1])


@pytest.mark.parametrize(
    ("country", "state", "postal_code", "kept_state", "kept_postal_code"),
    [
        ("FR", None, "75002", None, "75002"),
        ("FR", " ", " 75002 ", None, "75002"),
        ("FR", None, "７５００２", None, "75002"),
        ("US", "CA", "95014", "CA", "95014"),
        ("US", "california", "95014-1234", "CA", "95014-1234"),
        ("CA", "QC", "H3Z 2Y7", "QC", "H3Z 2Y7"),
        ("CA", "Québec", "h3z 2y7", "QC", "H3Z 2Y7"),
        ("CA", "Que\u0301bec", "H3Z2Y7", "QC", "H3Z2Y7"),
        ("GB", None, "sw1a 1aa", None, "SW1A 1AA"),
        ("IE", None, None, None, None),
        ("IE", "Co. Galway", "A65 F4E2", "Co. Galway", "A65 F4E2"),
        ("HK", "Kowloon", None, "Kowloon", None),
        ("HK", "九龍", "", "Kowloon", None),
        ("SG", None, "546080", None, "546080"),
        ("AE", "dubai", None, "Dubai", None),
        ("AE", "إمارة دبيّ", None, "إمارة دبيّ", None),
        ("JP", "Tokyo", "100-0001", "Tokyo", "100-0001"),
        ("JP", "東京都", "100-0001", "東京都", "100-0001"),
        ("BR", "Sao Paulo", "01310-000", "SP", "01310-000"),
        ("TR", "ISTANBUL", "34000", "İstanbul", "34000"),
        ("TR", "Adiyaman", "02000", "Adıyaman", "02000"),
        ("VN", "Đà Nẵng", None, "Đà Nẵng", None),
        ("VN", "Da Nang", None, "Đà Nẵng", None),
        # What is kept is kept when it is saved again.
        ("IN", "अंडमान और निकोबार द्वीपसमूह", "744101", "Andaman & Nicobar", "744101"),
        ("IN", "Andaman & Nicobar", "744101", "Andaman & Nicobar", "744101"),
    ],
)
async def test_an_address_is_kept_after_the_rules_of_its_country(
    world: World,
    country: str,
    state: str | None,
    postal_code: str | None,
    kept_state: str | None,
    kept_postal_code: str | None,
) -> None:
    details = (await kept(await world.site(), located(country, state, postal_code)))["details"]
    assert details["country"] == country
    assert (details["stateOrProvince"], details["postalCode"]) == (kept_state, kept_postal_code)


STATE, CODE = "stateOrProvince", "postalCode"


@pytest.mark.parametrize(
    ("country", "state", "postal_code", "faults"),
    [
        ("FR", None, None, [("REQUIRED", CODE)]),
        ("FR", "Bretagne", "75002", [("NOT_PART_OF_ADDRESS", STATE)]),
        ("FR", None, "7500", [("INVALID_POSTAL_CODE", CODE)]),
        ("FR", None, "750022", [("INVALID_POSTAL_CODE", CODE)]),
        ("FR", None, "٧٥٠٠٢", [("INVALID_POSTAL_CODE", CODE)]),
        ("US", None, None, [("REQUIRED", CODE), ("REQUIRED", STATE)]),
        ("US", "", " ", [("REQUIRED", CODE), ("REQUIRED", STATE)]),
        ("US", "Bavaria", "95014", [("INVALID_STATE_OR_PROVINCE", STATE)]),
        ("US", "CA", "10001", [("INVALID_POSTAL_CODE", CODE)]),
        ("CA", None, None, [("REQUIRED", CODE), ("REQUIRED", STATE)]),
        ("CA", "QC", "75002", [("INVALID_POSTAL_CODE", CODE)]),
        ("CA", "TX", "H3Z 2Y7", [("INVALID_STATE_OR_PROVINCE", STATE)]),
        ("GB", None, None, [("REQUIRED", CODE)]),
        ("GB", "Kent", "SW1A 1AA", [("NOT_PART_OF_ADDRESS", STATE)]),
        ("GB", None, "GIR 0AA and more", [("INVALID_POSTAL_CODE", CODE)]),
        ("IE", "Bavaria", None, [("INVALID_STATE_OR_PROVINCE", STATE)]),
        ("IE", None, "75002", [("INVALID_POSTAL_CODE", CODE)]),
        ("HK", None, "999077", [("NOT_PART_OF_ADDRESS", CODE), ("REQUIRED", STATE)]),
        ("SG", "Singapore", None, [("REQUIRED", CODE), ("NOT_PART_OF_ADDRESS", STATE)]),
        ("JP", "Tokyo", "530-0001", [("INVALID_POSTAL_CODE", CODE)]),
        ("AE", None, "00000", [("NOT_PART_OF_ADDRESS", CODE), ("REQUIRED", STATE)]),
    ],
)
async def test_an_address_that_its_country_does_not_have_is_refused(
    world: World, country: str, state: str | None, postal_code: str | None, faults: list[tuple[str, str]]
) -> None:
    assert await refused(world, located(country, state, postal_code)) == faults


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (located("CA", "AB", "x"), "This is not a postal code of CA; one looks like T"),
        (located("FR", "Bretagne", "75002"), "Addresses in FR do not have this; leave it out."),
        (located("US", "Bavaria", "95014"), "US has no state or province of this name."),
        (CONTACT | {"phone": "12"}, "This is not a telephone number in FR; outside it, begin with +"),
    ],
)
async def test_a_fault_says_what_would_be_right(world: World, form: dict[str, Any], message: str) -> None:
    place = await world.site()
    (error,) = (await place.primary.do("createContact", siteId=place.id, **form))["errors"]
    assert error["message"].startswith(message)


ADDRESSES = {
    "FR": (None, "75002"),
    "US": ("CA", "95014"),
    "CA": ("QC", "H3Z 2Y7"),
    "GB": (None, "SW1A 1AA"),
    "IE": (None, None),
    "HK": ("Kowloon", None),
    "SG": (None, "546080"),
    "AE": ("Dubai", None),
}


@pytest.mark.parametrize("country", COUNTRIES)
async def test_a_telephone_number_is_typed_as_in_its_country_and_kept_for_the_world(
    world: World, country: str
) -> None:
    number = phonenumbers.example_number(country)
    style = phonenumbers.PhoneNumberFormat
    place = await world.site()
    for way in (style.NATIONAL, style.INTERNATIONAL, style.E164):
        form = located(country, *ADDRESSES[country]) | {"phone": phonenumbers.format_number(number, way)}
        contact = await kept(place, form)
        assert contact["details"]["phone"] == phonenumbers.format_number(number, style.E164)


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        (" 01.42.68.53.00 ", "+33142685300"),
        ("+1 (650) 253-0000", "+16502530000"),
        ("0044 20 7031 3000", "+442070313000"),
        ("+33 1 42 68 53 00 ext. 12", "+33142685300;ext=12"),
    ],
)
async def test_a_foreign_number_begins_with_its_code(world: World, phone: str, expected: str) -> None:
    assert (await kept(await world.site(), CONTACT | {"phone": phone}))["details"]["phone"] == expected


@pytest.mark.parametrize(
    "phone", ["12", "+33 1", "telephone", "(650) 253-0000", "+999 123456789", "+", "0" * 100]
)
async def test_what_is_no_telephone_number_is_refused(world: World, phone: str) -> None:
    assert await refused(world, CONTACT | {"phone": phone}) == [("INVALID_PHONE", "phone")]


@pytest.mark.parametrize(
    "email",
    [
        "nobody",
        "a@b",
        "a b@example.com",
        "a@example..com",
        "@example.com",
        "a@localhost",
        "a@example.com, b@example.com",
    ],
)
async def test_what_is_no_email_address_is_refused(world: World, email: str) -> None:
    assert await refused(world, CONTACT | {"email": email}) == [("INVALID_EMAIL", "email")]


async def test_an_email_address_is_kept_in_its_normal_form(world: World) -> None:
    form = CONTACT | {"email": " Camille.Durand@EXAMPLE.com\n"}
    assert (await kept(await world.site(), form))["email"] == "Camille.Durand@example.com"


@pytest.mark.parametrize("country", ["XX", "ZZ", "FRA", "F", "France", "ß", "ＦＲ", "all", "12"])
async def test_what_is_no_country_is_refused(world: World, country: str) -> None:
    assert await refused(world, ANYWHERE | {"country": country}) == [("INVALID_COUNTRY", "country")]


@pytest.mark.parametrize("country", [" fr ", "Fr"])
async def test_a_country_may_be_typed_in_any_case(world: World, country: str) -> None:
    assert (await kept(await world.site(), CONTACT | {"country": country}))["details"]["country"] == "FR"


async def test_a_country_without_telephone_numbers_of_its_own_is_one(world: World) -> None:
    details = (await kept(await world.site(), located("AQ", None, None)))["details"]
    assert (details["country"], details["phone"]) == ("AQ", "+33142685300")
    assert await refused(world, located("AQ", None, None) | {"phone": "12345678"}) == [
        ("INVALID_PHONE", "phone")
    ]


TEXTS = ["firstName", "lastName", "phone", "email", "address", "city"]
LIMITS = {
    "firstName": 100,
    "lastName": 100,
    "phone": 100,
    "email": 254,
    "address": 200,
    "city": 100,
    STATE: 100,
    CODE: 100,
}


@pytest.mark.parametrize("nothing", ["", "  ", "\n", "\u200b \u3164"])
async def test_every_required_field_must_be_given_and_all_faults_are_told(world: World, nothing: str) -> None:
    form = CONTACT | dict.fromkeys([*TEXTS, CODE], nothing) | {"types": []}
    assert await refused(world, form) == [("REQUIRED", name) for name in sorted([*TEXTS, CODE, "types"])]
    refusal = await refused(world, CONTACT | {"country": nothing})
    assert refusal == [("REQUIRED", "country")]


async def test_what_is_too_long_is_refused_everywhere_at_once(world: World) -> None:
    form = CONTACT | {name: "x" * (limit + 1) for name, limit in LIMITS.items()}
    assert await refused(world, form) == [("TOO_LONG", name) for name in sorted(LIMITS)]


async def test_what_just_fits_is_kept(world: World) -> None:
    names = [name for name in TEXTS if name not in ("phone", "email")]
    form = CONTACT | {name: "é" * LIMITS[name] for name in names}
    contact = await kept(await world.site(), form)
    assert (contact["firstName"], contact["details"]["address"]) == ("é" * 100, "é" * 200)


@pytest.mark.parametrize("bad", ["\x00", "\ud800", "\udfff", "\x1b", "\x85", "a\nb", "\u202e", "\u2066"])
async def test_unreadable_characters_are_refused_everywhere_at_once(world: World, bad: str) -> None:
    form = CONTACT | dict.fromkeys([*LIMITS, "country"], f"x{bad}y")
    expected = [("FORBIDDEN_CHARACTERS", name) for name in sorted([*LIMITS, "country"])]
    assert await refused(world, form) == expected


@pytest.mark.parametrize(
    "name", ["O’Brien-Łukasz", "李", "Nuñez & Fils <b>", "'; DROP TABLE contact; --", "{name} %s", "👩‍💻"]
)
async def test_what_people_are_called_is_kept_as_it_is(world: World, name: str) -> None:
    form = CONTACT | {"firstName": name, "lastName": f"  {name} ", "address": name, "city": name}
    contact = await kept(await world.site(), form)
    assert {contact["firstName"], contact["lastName"], contact["details"]["city"]} == {name}


async def test_accents_are_kept_composed_however_they_are_typed(world: World) -> None:
    contact = await kept(await world.site(), CONTACT | {"firstName": "Rene\u0301"})
    assert contact["firstName"] == "René"


async def test_a_type_twice_is_refused_and_types_are_kept_in_one_order(world: World) -> None:
    assert await refused(world, CONTACT | {"types": ["BILLING", "BILLING"]}) == [("DUPLICATE", "types")]
    contact = await kept(await world.site(), CONTACT | {"types": ["BILLING", "SITE_TECHNICAL"]})
    assert contact["types"] == ["SITE_TECHNICAL", "BILLING"]


@pytest.mark.parametrize("name", [*TEXTS, "country", "types"])
async def test_a_required_field_cannot_be_left_out_of_a_document(world: World, name: str) -> None:
    place = await world.site()
    input = {key: value for key, value in CONTACT.items() if key != name} | {"siteId": place.id}
    document = "mutation($input: CreateContactInput!) { createContact(input: $input) { errors { code } } }"
    async with world.unchanged():
        response = await place.primary.post(document, input=input)
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
