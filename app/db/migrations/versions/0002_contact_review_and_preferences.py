"""The monthly review of contacts, eNotification preferences, and calendar subscriptions.

PostgreSQL never takes a value out of an enum, so the new events stay when this is taken back.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

UP = """
ALTER TYPE event ADD VALUE IF NOT EXISTS 'CONTACTS_REVIEWED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'E_NOTIFICATIONS_UPDATED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'CALENDAR_SUBSCRIBED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'CALENDAR_REVOKED';

CREATE TYPE topic AS ENUM ('TOOL_CHANGES', 'RENEWAL_QUOTES', 'NEW_VERSIONS');

ALTER TABLE site
    ADD COLUMN contacts_reviewed_at timestamptz,
    ADD COLUMN contacts_reviewed_by_id UUID,
    ADD CONSTRAINT fk_site_contacts_reviewed_by_id
        FOREIGN KEY(contacts_reviewed_by_id) REFERENCES "user" (id),
    ADD CONSTRAINT ck_site_contact_review_is_whole
        CHECK ((contacts_reviewed_at IS NULL) = (contacts_reviewed_by_id IS NULL));

CREATE TABLE e_notification_preference (
    user_id UUID NOT NULL,
    email TEXT,
    topics topic[] NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_e_notification_preference PRIMARY KEY (user_id),
    CONSTRAINT ck_e_notification_preference_topics_differ CHECK (has_no_duplicates(topics)),
    CONSTRAINT fk_e_notification_preference_user_id FOREIGN KEY(user_id) REFERENCES "user" (id)
);

CREATE TABLE calendar_subscription (
    site_id UUID NOT NULL,
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    slot SMALLINT NOT NULL,
    secret_hash BYTEA NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    last_used_at timestamptz,
    CONSTRAINT pk_calendar_subscription PRIMARY KEY (site_id, id),
    CONSTRAINT uq_calendar_subscription_user_id_slot UNIQUE (user_id, slot),
    CONSTRAINT uq_calendar_subscription_secret_hash UNIQUE (secret_hash),
    CONSTRAINT ck_calendar_subscription_slot_exists CHECK (slot BETWEEN 1 AND 20),
    CONSTRAINT ck_calendar_subscription_secret_is_hashed CHECK (octet_length(secret_hash) = 32),
    CONSTRAINT fk_calendar_subscription_site_id FOREIGN KEY(site_id) REFERENCES site (id),
    CONSTRAINT fk_calendar_subscription_user_id FOREIGN KEY(user_id) REFERENCES "user" (id)
);

CREATE INDEX ix_calendar_subscription_id ON calendar_subscription (id);

GRANT SELECT, INSERT, UPDATE ON e_notification_preference TO account_management_server;

GRANT SELECT, INSERT, DELETE, UPDATE (last_used_at) ON calendar_subscription TO account_management_server;
"""

DOWN = """
DROP TABLE calendar_subscription, e_notification_preference;

ALTER TABLE site DROP COLUMN contacts_reviewed_at, DROP COLUMN contacts_reviewed_by_id;

DROP TYPE topic;
"""


def upgrade() -> None:
    """Apply."""
    for statement in UP.strip().split("\n\n"):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN.strip().split("\n\n"):
        op.execute(statement)
