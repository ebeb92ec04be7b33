"""Webhooks of partner tools, their secrets, and what is sent to them: queued by a trigger on the history.

The values of the enum `event` stay when this is taken back: PostgreSQL cannot drop them, and nothing else uses them.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

UP = """
ALTER TYPE event ADD VALUE IF NOT EXISTS 'WEBHOOK_CREATED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'WEBHOOK_UPDATED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'WEBHOOK_DELETED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'WEBHOOK_SECRET_ROTATED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'WEBHOOK_DISABLED';

CREATE TYPE webhook_delivery_state AS ENUM ('QUEUED', 'DELIVERED', 'DEAD');

CREATE TYPE webhook_disabled_reason AS ENUM ('GONE', 'FAILING');

CREATE TYPE webhook_failure AS ENUM (
    'BAD_STATUS',
    'TIMED_OUT',
    'NAME_NOT_FOUND',
    'ADDRESS_FORBIDDEN',
    'NOT_CONNECTED',
    'CERTIFICATE_REFUSED',
    'NO_ANSWER'
);

CREATE TABLE webhook (
    site_id UUID NOT NULL,
    id UUID NOT NULL,
    slot SMALLINT NOT NULL,
    url TEXT NOT NULL,
    events event[] NOT NULL,
    description TEXT,
    active BOOLEAN NOT NULL,
    disabled_reason webhook_disabled_reason,
    failing_since timestamptz,
    created_by_id UUID NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_webhook PRIMARY KEY (site_id, id),
    CONSTRAINT uq_webhook_site_id_slot UNIQUE (site_id, slot),
    CONSTRAINT ck_webhook_slot_exists CHECK (slot BETWEEN 1 AND 10),
    CONSTRAINT ck_webhook_events_differ CHECK (has_no_duplicates(events)),
    CONSTRAINT ck_webhook_only_the_inactive_is_disabled CHECK (disabled_reason IS NULL OR NOT active),
    CONSTRAINT fk_webhook_site_id FOREIGN KEY(site_id) REFERENCES site (id),
    CONSTRAINT fk_webhook_created_by_id FOREIGN KEY(created_by_id) REFERENCES "user" (id)
);

CREATE INDEX ix_webhook_id ON webhook (id);

CREATE TABLE webhook_secret (
    site_id UUID NOT NULL,
    webhook_id UUID NOT NULL,
    is_current BOOLEAN NOT NULL,
    secret TEXT NOT NULL,
    ends_at timestamptz,
    CONSTRAINT pk_webhook_secret PRIMARY KEY (site_id, webhook_id, is_current),
    CONSTRAINT ck_webhook_secret_only_the_former_ends CHECK (is_current = (ends_at IS NULL)),
    CONSTRAINT fk_webhook_secret_site_id_webhook_id
        FOREIGN KEY(site_id, webhook_id) REFERENCES webhook (site_id, id) ON DELETE CASCADE
);

CREATE TABLE webhook_delivery (
    site_id UUID NOT NULL,
    id UUID NOT NULL,
    webhook_id UUID NOT NULL,
    event event,
    event_number BIGINT,
    payload TEXT NOT NULL,
    state webhook_delivery_state NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at timestamptz,
    last_status INTEGER,
    last_error webhook_failure,
    delivered_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_webhook_delivery PRIMARY KEY (site_id, id),
    CONSTRAINT ck_webhook_delivery_event_has_a_number CHECK ((event IS NULL) = (event_number IS NULL)),
    CONSTRAINT ck_webhook_delivery_only_the_queued_is_attempted
        CHECK (state = 'QUEUED' OR next_attempt_at IS NULL),
    CONSTRAINT ck_webhook_delivery_delivered_has_a_date CHECK ((state = 'DELIVERED') = (delivered_at IS NOT NULL)),
    CONSTRAINT fk_webhook_delivery_site_id_webhook_id
        FOREIGN KEY(site_id, webhook_id) REFERENCES webhook (site_id, id) ON DELETE CASCADE
);

CREATE INDEX ix_webhook_delivery_id ON webhook_delivery (id);

CREATE INDEX ix_webhook_delivery_site_id_webhook_id_created_at_id
    ON webhook_delivery (site_id, webhook_id, created_at, id);

CREATE INDEX ix_webhook_delivery_due ON webhook_delivery (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

CREATE INDEX ix_webhook_delivery_resting ON webhook_delivery (created_at) WHERE next_attempt_at IS NULL;

CREATE FUNCTION uuid7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
        substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6
    ), 52, 1), 53, 1), 'hex')::uuid
$$;

CREATE FUNCTION queue_webhook_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
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

CREATE TRIGGER history_event_is_sent_to_webhooks AFTER INSERT ON history_event
    FOR EACH ROW WHEN (NEW.site_id IS NOT NULL) EXECUTE FUNCTION queue_webhook_deliveries();

CREATE FUNCTION hold_webhook_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE webhook_delivery SET next_attempt_at = CASE WHEN NEW.active THEN now() END
        WHERE site_id = NEW.site_id AND webhook_id = NEW.id AND state = 'QUEUED';
    RETURN NULL;
END $$;

CREATE TRIGGER deliveries_wait_while_webhook_is_inactive AFTER UPDATE ON webhook
    FOR EACH ROW WHEN (OLD.active <> NEW.active) EXECUTE FUNCTION hold_webhook_deliveries();

CREATE FUNCTION tell_webhook_workers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('webhook_delivery', '');
    RETURN NULL;
END $$;

CREATE TRIGGER due_delivery_wakes_workers AFTER INSERT OR UPDATE ON webhook_delivery
    FOR EACH ROW WHEN (NEW.next_attempt_at <= now()) EXECUTE FUNCTION tell_webhook_workers();

GRANT SELECT, INSERT, UPDATE, DELETE ON webhook, webhook_secret, webhook_delivery TO account_management_server;
"""

DOWN = """
DROP TRIGGER history_event_is_sent_to_webhooks ON history_event;

DROP TABLE webhook_delivery, webhook_secret, webhook;

DROP FUNCTION queue_webhook_deliveries, hold_webhook_deliveries, tell_webhook_workers, uuid7;

DROP TYPE webhook_delivery_state, webhook_disabled_reason, webhook_failure;
"""


def upgrade() -> None:
    """Apply."""
    for statement in UP.strip().split("\n\n"):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN.strip().split("\n\n"):
        op.execute(statement)
