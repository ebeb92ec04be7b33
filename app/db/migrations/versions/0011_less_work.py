"""What need not be done with every change: less of it is looked at, prepared and set.

Whether a site has a primary contact record is only looked at when types change. A function in SQL is parsed by every
statement that writes to a table which it checks, one in PL/pgSQL once by each connection. An event is hashed by a
function with a time zone of its own, so the trigger that calls it needs none. Most events are told to no webhook: the
statement that writes a delivery is only begun when there is one.
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

CREATE OR REPLACE FUNCTION queue_webhook_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told uuid;
BEGIN
    FOR told IN
        SELECT webhook.id FROM webhook
        WHERE webhook.site_id = NEW.site_id AND webhook.active
            AND (webhook.events = '{}' OR NEW.event = ANY (webhook.events))
            AND webhook.id <> NEW.subject_id
    LOOP
        INSERT INTO webhook_delivery
            (site_id, id, webhook_id, event, event_number, payload, state, attempts, next_attempt_at)
        SELECT NEW.site_id, uuid7(), told, NEW.event, NEW.number, json_strip_nulls(json_build_object(
                'type', replace(lower(NEW.event::text), '_', '.'),
                'timestamp', to_char(timezone('UTC', NEW.at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                'data', json_build_object(
                    'siteId', 'site_' || replace(NEW.site_id::text, '-', ''),
                    'siteNumber', site.number,
                    'eventNumber', NEW.number,
                    'subject', json_build_object(
                        'type', replace(initcap(NEW.subject_type), '_', ''),
                        'id', NEW.subject_type || '_' || replace(NEW.subject_id::text, '-', '')
                    ),
                    'actorId', 'user_' || replace(NEW.actor_id::text, '-', '')
                )
            ))::text, 'QUEUED', 0, now()
        FROM site WHERE site.id = NEW.site_id;
    END LOOP;
    RETURN NULL;
END $$;
"""

DOWN = """
CREATE OR REPLACE FUNCTION queue_webhook_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_delivery
        (site_id, id, webhook_id, event, event_number, payload, state, attempts, next_attempt_at)
    SELECT NEW.site_id, uuid7(), webhook.id, NEW.event, NEW.number, json_strip_nulls(json_build_object(
            'type', replace(lower(NEW.event::text), '_', '.'),
            'timestamp', to_char(timezone('UTC', NEW.at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'data', json_build_object(
                'siteId', 'site_' || replace(NEW.site_id::text, '-', ''),
                'siteNumber', site.number,
                'eventNumber', NEW.number,
                'subject', json_build_object(
                    'type', replace(initcap(NEW.subject_type), '_', ''),
                    'id', NEW.subject_type || '_' || replace(NEW.subject_id::text, '-', '')
                ),
                'actorId', 'user_' || replace(NEW.actor_id::text, '-', '')
            )
        ))::text, 'QUEUED', 0, now()
    FROM webhook JOIN site ON site.id = webhook.site_id
    WHERE webhook.site_id = NEW.site_id AND webhook.active
        AND (webhook.events = '{}' OR NEW.event = ANY (webhook.events))
        AND webhook.id <> NEW.subject_id;
    RETURN NULL;
END $$;

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
