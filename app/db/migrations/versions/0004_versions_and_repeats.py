"""Versions of what can be changed, and keys of mutations that may come twice."""

from alembic import op

revision = "0004"
down_revision = "0003"

UP = """
ALTER TABLE membership ADD COLUMN version INTEGER DEFAULT 1 NOT NULL;

ALTER TABLE contact ADD COLUMN version INTEGER DEFAULT 1 NOT NULL;

ALTER TABLE webhook ADD COLUMN version INTEGER DEFAULT 1 NOT NULL;

ALTER TABLE e_notification_preference ADD COLUMN version INTEGER DEFAULT 1 NOT NULL;

CREATE FUNCTION count_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version = OLD.version + 1;
    RETURN NEW;
END $$;

CREATE TRIGGER membership_has_a_version BEFORE UPDATE ON membership
    FOR EACH ROW EXECUTE FUNCTION count_version();

CREATE TRIGGER contact_has_a_version BEFORE UPDATE ON contact
    FOR EACH ROW EXECUTE FUNCTION count_version();

CREATE TRIGGER webhook_has_a_version BEFORE UPDATE OF url, events, description, active ON webhook
    FOR EACH ROW EXECUTE FUNCTION count_version();

CREATE TRIGGER e_notification_preference_has_a_version BEFORE UPDATE ON e_notification_preference
    FOR EACH ROW EXECUTE FUNCTION count_version();

CREATE TABLE idempotency_key (
    user_id UUID NOT NULL,
    key TEXT NOT NULL,
    mutation TEXT NOT NULL,
    digest BYTEA NOT NULL,
    keys JSONB DEFAULT '{}' NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_idempotency_key PRIMARY KEY (user_id, key),
    CONSTRAINT fk_idempotency_key_user_id FOREIGN KEY(user_id) REFERENCES "user" (id)
);

CREATE INDEX ix_idempotency_key_user_id_created_at ON idempotency_key (user_id, created_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_key TO account_management_server;
"""

DOWN = """
DROP TABLE idempotency_key;

DROP TRIGGER membership_has_a_version ON membership;

DROP TRIGGER contact_has_a_version ON contact;

DROP TRIGGER webhook_has_a_version ON webhook;

DROP TRIGGER e_notification_preference_has_a_version ON e_notification_preference;

DROP FUNCTION count_version();

ALTER TABLE membership DROP COLUMN version;

ALTER TABLE contact DROP COLUMN version;

ALTER TABLE webhook DROP COLUMN version;

ALTER TABLE e_notification_preference DROP COLUMN version;
"""


def upgrade() -> None:
    """Apply."""
    for statement in UP.strip().split("\n\n"):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN.strip().split("\n\n"):
        op.execute(statement)
