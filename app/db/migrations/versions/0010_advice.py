"""Addresses that take no mail, which privileges are used, and since when a member holds their levels."""

from alembic import op

revision = "0010"
down_revision = "0009"

# Rows that exist already count from now on: nobody is told of what was not looked at before. Addresses that refused
# the last message to them are known from the outbox.
UP = """
CREATE TABLE undeliverable_address (
    email TEXT NOT NULL,
    refused_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_undeliverable_address PRIMARY KEY (email),
    CONSTRAINT ck_undeliverable_address_email_is_normal CHECK (email = lower(trim(email)))
);

INSERT INTO undeliverable_address (email, refused_at)
    SELECT lower(trim(email)), max(created_at) FILTER (WHERE state = 'DEAD' AND fault = 'RECIPIENT_REFUSED')
    FROM message GROUP BY lower(trim(email))
    HAVING max(created_at) FILTER (WHERE state = 'DEAD' AND fault = 'RECIPIENT_REFUSED')
        > coalesce(max(sent_at), '-infinity');

GRANT SELECT, INSERT, UPDATE, DELETE ON undeliverable_address TO account_management_server;

CREATE TYPE privilege_name AS ENUM (
    'PURCHASE_AND_DOWNLOAD',
    'REPORTING',
    'ENTITLEMENT_INVENTORY',
    'ENTITLEMENT_ALLOCATIONS',
    'MANAGE_ACCESS',
    'CONTACT_UPDATES',
    'CONTACT_UPDATE_OVERVIEW',
    'ACCOUNT_DOCUMENTS'
);

CREATE TABLE privilege_use (
    site_id UUID NOT NULL,
    user_id UUID NOT NULL,
    privilege privilege_name NOT NULL,
    last_used_on DATE NOT NULL,
    CONSTRAINT pk_privilege_use PRIMARY KEY (site_id, user_id, privilege),
    CONSTRAINT fk_privilege_use_site_id_user_id
        FOREIGN KEY(site_id, user_id) REFERENCES membership (site_id, user_id) ON DELETE CASCADE
);

GRANT SELECT, INSERT, UPDATE ON privilege_use TO account_management_server;

ALTER TABLE membership ADD COLUMN levels_changed_at timestamptz DEFAULT now() NOT NULL;

CREATE FUNCTION note_change_of_levels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.levels_changed_at = now();
    RETURN NEW;
END $$;

CREATE TRIGGER membership_knows_when_its_levels_changed BEFORE UPDATE ON membership
    FOR EACH ROW WHEN (
        (OLD.role, OLD.purchase_and_download, OLD.reporting, OLD.entitlement_inventory,
            OLD.entitlement_allocations, OLD.manage_access, OLD.contact_updates, OLD.account_documents)
        IS DISTINCT FROM
        (NEW.role, NEW.purchase_and_download, NEW.reporting, NEW.entitlement_inventory,
            NEW.entitlement_allocations, NEW.manage_access, NEW.contact_updates, NEW.account_documents)
        OR (OLD.ends_at <= now() AND OLD.ends_at IS DISTINCT FROM NEW.ends_at)
    )
    EXECUTE FUNCTION note_change_of_levels();
"""

DOWN = """
DROP TRIGGER membership_knows_when_its_levels_changed ON membership;

DROP FUNCTION note_change_of_levels;

ALTER TABLE membership DROP COLUMN levels_changed_at;

DROP TABLE privilege_use;

DROP TYPE privilege_name;

DROP TABLE undeliverable_address;
"""


def upgrade() -> None:
    """Apply."""
    for statement in UP.strip().split("\n\n"):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN.strip().split("\n\n"):
        op.execute(statement)
