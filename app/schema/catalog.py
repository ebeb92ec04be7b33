"""The privilege catalogue: what can be given, in both languages, so that no client keeps its own list."""

from typing import Annotated, Any

import strawberry

from app.language import translate
from app.query.declare import Value, reads
from app.rules import CATALOG, LEVEL_LABELS, Level, Privilege
from app.schema.enums import Language, Role

Labelled = Annotated[
    Language | None, strawberry.argument(description="In which language; that of the request by default.")
]


def _label(row: dict[str, Any], arguments: dict[str, Any], caller: Any) -> str:
    return translate(row["label"], arguments.get("language") or caller.language)


def _given(name: str, description: str) -> Any:
    return reads(Value(lambda row, *_: row[name]), description)


@strawberry.type(description="A level of an application, with its label.")
class LevelDescription:
    """A level."""

    level: str = _given("level", "The level, as the enum of its application has it.")

    @reads(Value(_label), "What people read.")
    def label(self, language: Labelled = None) -> str: ...


@strawberry.type(description="An application, its levels, and who may hold them.")
class Application:
    """An application."""

    field: str = _given("field", "Where PrivilegeSet has it, such as accountManagement.manageAccess.")
    held_by: list[Role] = _given("held_by", "Roles that may hold more than NONE.")
    editable: bool = _given("editable", "Whether its level can be set; otherwise every member holds it.")
    levels: list[LevelDescription] = _given("levels", "Its levels, the lowest first.")

    @reads(Value(_label), "What people read.")
    def label(self, language: Labelled = None) -> str: ...


@strawberry.type(description="All applications.")
class PrivilegeCatalog:
    """All applications."""

    applications: list[Application] = reads(
        Value(lambda *_: [application(privilege) for privilege in CATALOG]), "In the order of a form."
    )


def application(privilege: Privilege) -> dict[str, Any]:
    """The values of an application."""
    holders = (Role.PRIMARY_CONTACT, Role.SECONDARY_CONTACT) if privilege.secondary_contacts_only else Role
    return {
        "field": ".".join(privilege.path),
        "label": privilege.label,
        "levels": [level_values(level) for level in privilege.levels],
        "held_by": list(holders),
        "editable": privilege.editable,
    }


def level_values(level: Level) -> dict[str, str]:
    """The values of a level."""
    return {"level": level.name, "label": LEVEL_LABELS[level]}
