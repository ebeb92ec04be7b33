"""Which arguments decide the shape of a statement, and how."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

DECISIVE = ("orderBy", "language")
"""Arguments whose values stand in the text of a statement."""
Given = tuple[tuple[str, "Structure"], ...]
"""The structure of the arguments of a field: what is given, by name."""
Structure = Given | str | bool


def structure_of(values: Any, by_value: bool = False) -> Structure:
    """What decides the shape of a statement: what is given, and the values of orders and of languages."""
    if isinstance(values, dict):
        return given_in(values, by_value)
    return values.name if by_value and isinstance(values, Enum) else True


def given_in(values: Mapping[str, Any], by_value: bool = False) -> Given:
    """The structure of an object of arguments."""
    return tuple(
        (name, structure_of(value, by_value or name in DECISIVE))
        for name, value in values.items()
        if value is not None
    )


def unfolded(structure: Structure) -> Any:
    """The arguments again, with nothing in the place of values that decide nothing but that they are given."""
    if isinstance(structure, tuple):
        return {name: unfolded(value) for name, value in structure}
    return structure
