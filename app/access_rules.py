"""The pure rules of time-bound access, and of what members ask for. No input or output."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from app.errors import Code, Fault
from app.rules import ACCESS_YEARS, PRIVILEGES, Levels, Role

FARTHEST = timedelta(days=ACCESS_YEARS * 365 + 4)
"""Ten years have up to three leap days, and who chooses the last day means the whole of it."""


def check_end(ends_at: datetime | None, *path: str | int) -> Iterator[Fault]:
    """An end of access lies ahead, but not too far; no end is none."""
    now = datetime.now(UTC)
    if ends_at is not None and ends_at <= now:
        yield Fault(code=Code.END_IN_PAST, path=path)
    if ends_at is not None and ends_at > now + FARTHEST:
        yield Fault(code=Code.END_TOO_FAR, path=path, parameters={"limit": ACCESS_YEARS})


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """The later of two ends; without an end, access lasts for ever."""
    return None if one is None or other is None else max(one, other)


def higher(one: Role, other: Role) -> Role:
    """The higher of two roles."""
    return min(one, other, key=list(Role).index)


def check_extension(ends_at: datetime, present: datetime | None) -> Iterator[Fault]:
    """A member asks for an end that lies ahead, and after the one they have."""
    yield from check_end(ends_at, "endsAt")
    if later(ends_at, present) == present:
        yield Fault(code=Code.END_NOT_LATER, path=("endsAt",))


def check_wishes(role: Role | None, wished: Levels, held_role: Role, held: Levels) -> Iterator[Fault]:
    """A member asks for something, and only for what is more than they hold."""
    if role is None and not wished:
        yield Fault(code=Code.REQUIRED, path=("privileges",))
    if role is not None and role is not Role.PRIMARY_CONTACT and higher(role, held_role) is held_role:
        yield Fault(code=Code.NOT_HIGHER, path=("role",))
    for name, level in wished.items():
        if level.rank <= held[name].rank:
            yield Fault(code=Code.NOT_HIGHER, path=("privileges", *PRIVILEGES[name].path))
