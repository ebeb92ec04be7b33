"""What need not be done with every change: looking for a primary contact record when a contact changes otherwise, reading
a function of a check anew, and setting the time zone twice.

A function in SQL is parsed by every statement that writes to a table which it checks, one in PL/pgSQL once by each
connection. A history event is hashed by a function with a time zone of its own, so the trigger that calls it needs none.
"""

from alembic import op

revision = "0011"
down_revision = "0010"

UP = """
DROP TRIGGER site_has_primary_contact_record ON contact;

CREATE CONSTRAINT TRIGGER site_has_primary_contact_record AFTER UPDATE OF types, site_id OR DELETE ON contact
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_primary_contact_record();

CREATE OR REPLACE FUNCTION has_no_duplicates(items anyarray) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN cardinality(items) = (SELECT count(DISTINCT item) FROM unnest(items) AS item);
END $$;

ALTER FUNCTION chain_history_event() RESET timezone;
"""

DOWN = """
ALTER FUNCTION chain_history_event() SET timezone = 'UTC';

CREATE OR REPLACE FUNCTION has_no_duplicates(items anyarray) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS $$ SELECT cardinality(items) = (SELECT count(DISTINCT item) FROM unnest(items) AS item) $$;

DROP TRIGGER site_has_primary_contact_record ON contact;

CREATE CONSTRAINT TRIGGER site_has_primary_contact_record AFTER UPDATE OR DELETE ON contact
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_primary_contact_record();
"""


def upgrade() -> None:
    """Apply."""
    for statement in UP.strip().split("\n\n"):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN.strip().split("\n\n"):
        op.execute(statement)
