"""Messages to people: the outbox."""

from alembic import op

revision = "0005"
down_revision = "0004"

UP = """
CREATE TYPE message_kind AS ENUM (
    'ACCESS_REQUESTED',
    'ACCESS_GRANTED',
    'ACCESS_DENIED',
    'ACCESS_REQUEST_EXPIRED',
    'WELCOME',
    'ACCESS_CHANGED',
    'ACCESS_REMOVED',
    'ACCESS_ENDS',
    'PRIMARY_CONTACT_NOMINATED',
    'PRIMARY_CONTACT_HANDED_OVER',
    'MONTHLY_REVIEW'
);

CREATE TYPE message_state AS ENUM ('QUEUED', 'SENT', 'DEAD');

CREATE TYPE message_fault AS ENUM (
    'ADDRESS_UNUSABLE',
    'RECIPIENT_REFUSED',
    'MESSAGE_REFUSED',
    'TRY_LATER',
    'SERVER_REFUSED',
    'SERVER_UNREACHABLE',
    'NOT_WRITTEN'
);

CREATE INDEX ix_membership_ends_at ON membership (ends_at) WHERE ends_at IS NOT NULL;

CREATE INDEX ix_access_request_expires_at ON access_request (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE message (
    id UUID NOT NULL,
    site_id UUID,
    recipient_id UUID NOT NULL,
    email TEXT NOT NULL,
    language language NOT NULL,
    kind message_kind NOT NULL,
    data JSONB NOT NULL,
    occasion TEXT,
    state message_state DEFAULT 'QUEUED' NOT NULL,
    attempts INTEGER DEFAULT '0' NOT NULL,
    next_attempt_at timestamptz DEFAULT now(),
    fault message_fault,
    last_error TEXT,
    sent_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_message PRIMARY KEY (id),
    CONSTRAINT ck_message_queued_is_due CHECK ((state = 'QUEUED') = (next_attempt_at IS NOT NULL)),
    CONSTRAINT ck_message_sent_has_a_date CHECK ((state = 'SENT') = (sent_at IS NOT NULL)),
    CONSTRAINT ck_message_fault_is_told CHECK ((fault IS NULL) = (last_error IS NULL)),
    CONSTRAINT ck_message_attempts_are_counted CHECK (attempts >= 0),
    CONSTRAINT fk_message_site_id FOREIGN KEY(site_id) REFERENCES site (id),
    CONSTRAINT fk_message_recipient_id FOREIGN KEY(recipient_id) REFERENCES "user" (id)
);

CREATE UNIQUE INDEX uq_message_occasion ON message (occasion) WHERE occasion IS NOT NULL;

CREATE INDEX ix_message_next_attempt_at ON message (next_attempt_at) WHERE state = 'QUEUED';

CREATE INDEX ix_message_site_id_created_at_id ON message (site_id, created_at, id);

CREATE INDEX ix_message_recipient_id_site_id ON message (recipient_id, site_id);

CREATE FUNCTION time_ordered_id() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;

CREATE FUNCTION announce_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('message', '');
    RETURN NULL;
END $$;

CREATE TRIGGER message_is_announced AFTER INSERT ON message
    FOR EACH ROW EXECUTE FUNCTION announce_message();

CREATE TRIGGER message_is_announced_again AFTER UPDATE ON message
    FOR EACH ROW WHEN (OLD.state = 'DEAD' AND NEW.state = 'QUEUED') EXECUTE FUNCTION announce_message();

GRANT SELECT, INSERT, UPDATE ON message TO account_management_server;
"""

DOWN = """
DROP TABLE message;

DROP FUNCTION time_ordered_id, announce_message;

DROP INDEX ix_membership_ends_at, ix_access_request_expires_at;

DROP TYPE message_kind, message_state, message_fault;
"""


def upgrade() -> None:
    """Apply."""
    for statement in UP.strip().split("\n\n"):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN.strip().split("\n\n"):
        op.execute(statement)
