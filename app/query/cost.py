"""How much an operation may ask for: counted before anything is read, as if every page were full.

Pages within pages multiply, so that a short document can ask for more than anybody could want.
"""

from collections.abc import Mapping
from typing import Any

from app.errors import bad_input
from app.query.collect import FieldArguments, Selected
from app.query.declare import Chosen, Find, Lookup, Paged, Parts, Relation, Value
from app.query.page import DEFAULT_SIZE, asked_size

MAXIMUM_OBJECTS = 25_000


def objects(selected: Selected, arguments: FieldArguments | None = None) -> int:
    """How many objects a selection can bring at most; a list without pages counts as a page of the usual size.

    `arguments` by the id of the selection replace those it was collected with.
    """
    below = [
        sum(objects(field, arguments) for field in shape.fields if field.shapes)
        for shape in selected.shapes.values()
    ]
    # An object is of one type, be it the one of which most is asked; parts can be there of all types.
    most = sum(below) if isinstance(selected.declaration, Parts) else max(below, default=0)
    given = arguments.get(id(selected), {}) if arguments is not None else selected.arguments
    return count(selected, given) * (1 + most)


def count(selected: Selected, given: Mapping[str, Any]) -> int:
    """How many objects a selection can bring itself, with these arguments and without what is below."""
    match selected.declaration:
        case Paged():
            return max(asked_size(given), 1)
        case Find():
            return len(given.get("ids", [None]))
        case Lookup():
            return len(given.get("inputs", [None]))
        case Chosen(most=most) | Value(most=int(most)) | Relation(most=int(most)):
            return most
        case Parts():
            # Each type is in the list once at most, and what is below all of them is counted.
            return 1
    return DEFAULT_SIZE if selected.is_list and selected.declaration else 1


def spend(budget: int, selected: Selected) -> int:
    """What is left of a budget of objects. Raises BAD_USER_INPUT when it is not enough."""
    left = budget - objects(selected)
    if left < 0:
        raise bad_input(f"This asks for more than {MAXIMUM_OBJECTS} objects. Ask for smaller pages.")
    return left
