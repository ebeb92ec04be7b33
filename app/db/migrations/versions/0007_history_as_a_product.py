"""The history to be read: an opaque id for every event, one function that says what is hashed, and indexes.

The id is random, so that it tells nothing of the stream an event is in, and is left out of the hash: the hashes of
events that were there before stay valid. Giving it to them writes the table anew.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

UP = """
ALTER TABLE history_event
    ADD COLUMN id UUID DEFAULT gen_random_uuid() NOT NULL,
    ADD CONSTRAINT uq_history_event_id UNIQUE (id);

CREATE INDEX ix_history_event_subject_id_number ON history_event (subject_id, number);

DROP INDEX ix_history_event_stream_subject_id_number;

CREATE INDEX ix_history_event_stream_at_number ON history_event (stream, at, number);

CREATE FUNCTION hash_of_history_event(written history_event) RETURNS bytea LANGUAGE sql STABLE
    SET timezone = 'UTC' SET bytea_output = 'hex'
    AS $$ SELECT sha256(convert_to(jsonb_strip_nulls(to_jsonb(written) - 'hash' - 'id')::text, 'UTF8')) $$;

CREATE OR REPLACE FUNCTION chain_history_event() RETURNS trigger LANGUAGE plpgsql SET timezone = 'UTC' AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.stream::text, 0));
    SELECT last.number, last.hash INTO NEW.number, NEW.previous_hash
        FROM history_event AS last WHERE last.stream = NEW.stream ORDER BY last.number DESC LIMIT 1;
    NEW.number = coalesce(NEW.number, 0) + 1;
    NEW.hash = hash_of_history_event(NEW);
    RETURN NEW;
END $$;
"""

DOWN = """
CREATE OR REPLACE FUNCTION chain_history_event() RETURNS trigger LANGUAGE plpgsql SET timezone = 'UTC' AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.stream::text, 0));
    SELECT last.number, last.hash INTO NEW.number, NEW.previous_hash
        FROM history_event AS last WHERE last.stream = NEW.stream ORDER BY last.number DESC LIMIT 1;
    NEW.number = coalesce(NEW.number, 0) + 1;
    NEW.hash = sha256(convert_to(jsonb_strip_nulls(to_jsonb(NEW) - 'hash')::text, 'UTF8'));
    RETURN NEW;
END $$;

DROP FUNCTION hash_of_history_event;

CREATE INDEX ix_history_event_stream_subject_id_number ON history_event (stream, subject_id, number);

DROP INDEX ix_history_event_subject_id_number, ix_history_event_stream_at_number;

ALTER TABLE history_event DROP COLUMN id;
"""


def upgrade() -> None:
    """Apply."""
    for statement in UP.strip().split("\n\n"):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN.strip().split("\n\n"):
        op.execute(statement)
