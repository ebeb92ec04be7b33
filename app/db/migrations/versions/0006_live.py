"""Events of sites are announced to whoever listens, when their transaction commits; they are found by their hash."""

from alembic import op

revision = "0006"
down_revision = "0005"

UP = """
CREATE INDEX ix_history_event_stream_hash ON history_event (stream, hash);

CREATE FUNCTION announce_history_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('history_event', NEW.site_id || ':' || NEW.number);
    RETURN NULL;
END $$;

CREATE TRIGGER history_event_is_announced AFTER INSERT ON history_event
    FOR EACH ROW WHEN (NEW.site_id IS NOT NULL) EXECUTE FUNCTION announce_history_event();
"""

DOWN = """
DROP TRIGGER history_event_is_announced ON history_event;

DROP FUNCTION announce_history_event;

DROP INDEX ix_history_event_stream_hash;
"""


def upgrade() -> None:
    """Apply."""
    for statement in UP.strip().split("\n\n"):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN.strip().split("\n\n"):
        op.execute(statement)
