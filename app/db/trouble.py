"""What operators are told when the database is not as their command needs it: what it said, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from app.db.engine import SERVER_ROLE, Unreachable

MIGRATE = "run account-management migrate"
NEWER_CODE = "these tables are of a newer version of the service: run that one"
STANDBY = "this is a standby, or default_transaction_read_only is on: give the address of the primary"
RESTORE = f"run CREATE ROLE {SERVER_ROLE} NOLOGIN and restore it anew"
ADVICE = {
    "08": "look whether PostgreSQL runs, and try again",
    # The role of the server is not there.
    "22023": f"{MIGRATE}; or, if the tables are there from a backup, {RESTORE}",
    "25006": STANDBY,
    "28": "check user and password in {setting}, and what pg_hba.conf allows",
    "3D": "create this database, or check its name in {setting}",
    "42501": "{denied}",
    "42703": MIGRATE,
    "42704": f"{MIGRATE}, or check what stands behind the ? in {{setting}}",
    "42883": MIGRATE,
    "42P01": MIGRATE,
    "53": "make room in PostgreSQL",
    "55P03": "others hold a lock for too long: try again when less is going on, or see pg_stat_activity",
    "57014": "it took longer than STATEMENT_TIMEOUT: try again when less is going on, or allow more",
    "57": "PostgreSQL is starting, or was stopped: try again",
    "58": "see the log of PostgreSQL",
}
"""What to do, by the code that PostgreSQL gives an error, or by what it begins with. Other errors are our fault."""
DENIED = (
    f"GRANT {SERVER_ROLE} TO the user of DATABASE_URL; or, if the tables are from a backup, and that role was not "
    "there when it was restored, restore it anew"
)
DENIED_TO_OWNER = (
    "let the user of {setting} own the database, and give it CREATEROLE, or run CREATE ROLE "
    f"{SERVER_ROLE} as somebody who may"
)


class DatabaseTrouble(Exception):
    """The database is not as the command needs it; `what` it said, and what to do as `advice`."""

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"The database: {what}\nWhat to do: {advice}.")
        self.what = what
        self.advice = advice


@contextmanager
def explained(setting: str = "DATABASE_URL", denied: str = DENIED) -> Iterator[None]:
    """Raises DatabaseTrouble for what an operator can do something about; `setting` says who connects where."""
    try:
        yield
    except Unreachable as error:
        raise DatabaseTrouble(str(error), f"check {setting}, and whether PostgreSQL runs there") from error
    except TimeoutError as error:
        raise DatabaseTrouble(
            "no answer in time", f"check {setting}, and whether PostgreSQL runs there"
        ) from error
    except CommandError as error:
        # Alembic finds no way from the revision that the database has.
        raise DatabaseTrouble(str(error), NEWER_CODE) from error
    except (DBAPIError, asyncpg.PostgresError) as error:
        said = error.orig if isinstance(error, DBAPIError) else error
        known = _advice(getattr(said, "sqlstate", None) or "")
        if known is None:
            raise
        advice = known.format(setting=setting, denied=denied.format(setting=setting))
        raise DatabaseTrouble(str(said).partition("\n")[0], advice) from error


def _advice(code: str) -> str | None:
    return next((ADVICE[known] for known in (code, code[:2]) if known in ADVICE), None)
