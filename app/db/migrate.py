"""Bring the database to the newest revision, or tell whether it is there."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


def alembic_config(url: str) -> Config:
    """Alembic's settings for the database at `url`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = url
    return config


def migrate(url: str) -> None:
    """Apply every migration that the database does not have yet."""
    command.upgrade(alembic_config(url), "head")


def is_of_newer_code(revision: str | None) -> bool:
    """Whether this code knows nothing of a revision, so that only newer code can have made it."""
    scripts = ScriptDirectory.from_config(alembic_config(""))
    return revision is not None and revision not in {script.revision for script in scripts.walk_revisions()}


def newest_revision() -> str | None:
    """The revision this code needs."""
    return ScriptDirectory.from_config(alembic_config("")).get_current_head()


async def current_revision(connection: AsyncConnection) -> str | None:
    """The revision the database has; none when it was never migrated, or every migration was taken back."""
    if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
