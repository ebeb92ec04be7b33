"""What need not be done with every change: less of it is looked at, prepared and set.

Whether a site has a primary contact record is only looked at when types change. A function in SQL is parsed by every
statement that writes to a table which it checks, one in PL/pgSQL once by each connection. An event is hashed by a
function with a time zone of its own, so the trigger that calls it needs none. Most events are told to no webhook: the
statement that writes a delivery is only begun when there is one. That is not asked of the snapshot of the event's
statement, which may have waited for its turn: so the function that asks it must not be STABLE.
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

CREATE FUNCTION has_active_webhook(uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN EXISTS (SELECT FROM webhook WHERE site_id = $1 AND active);
END $$;

DROP TRIGGER history_event_is_sent_to_webhooks ON history_event;

CREATE TRIGGER history_event_is_sent_to_webhooks AFTER INSERT ON history_event
    FOR EACH ROW WHEN (has_active_webhook(NEW.site_id)) EXECUTE FUNCTION queue_webhook_deliveries();
"""

DOWN = """
DROP TRIGGER history_event_is_sent_to_webhooks ON history_event;

CREATE TRIGGER history_event_is_sent_to_webhooks AFTER INSERT ON history_event
    FOR EACH ROW WHEN (NEW.site_id IS NOT NULL) EXECUTE FUNCTION queue_webhook_deliveries();

DROP FUNCTION has_active_webhook;

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
