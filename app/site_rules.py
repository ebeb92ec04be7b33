"""What a site can ask of its deciders beyond the domain's rules, and what they may keep. No input or output.

The two stricter rules are *grant at most what you hold* and *a second person confirms the naming of a secondary
contact*; both are off until the primary contact switches them on.
"""

from collections.abc import Iterator
from enum import Enum

from app.errors import Code, Fault
from app.rules import PRIVILEGES, Levels

PENDING_REQUEST_DAYS = 365
"""How long, at most, a site can leave requests open that shall expire."""
TEMPLATE_SLOTS = 50
"""How many privilege templates a site can have."""


class NamingKind(Enum):
    """By which act somebody was to become a secondary contact."""

    ADD = "ADD"
    GRANT = "GRANT"
    UPDATE = "UPDATE"


class NamingState(Enum):
    """Where the naming of a secondary contact stands."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


def check_days(days: int | None) -> Iterator[Fault]:
    """Requests expire after a day at least; nothing stands for never."""
    if days is not None and not 1 <= days <= PENDING_REQUEST_DAYS:
        parameters = {"minimum": 1, "maximum": PENDING_REQUEST_DAYS}
        yield Fault(code=Code.OUT_OF_RANGE, path=("pendingRequestDays",), parameters=parameters)


def check_at_most(most: Levels | None, given: Levels, held: Levels) -> Iterator[Fault]:
    """Nobody gives a level above their own; leaving a level that is held already is no giving.

    `most` are the giver's levels, or nothing where there is no limit.
    """
    for name, level in given.items() if most else ():
        if most and not most[name] >= level and not held[name] >= level:
            yield Fault(code=Code.LEVEL_ABOVE_YOURS, path=("privileges", *PRIVILEGES[name].path))
