"""The stricter rules of a site, its blocked requesters, its privilege templates, and namings that wait.

The values of the enum `event` stay when this is taken back: PostgreSQL cannot drop them, and nothing else uses them.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

UP = """
ALTER TYPE event ADD VALUE IF NOT EXISTS 'SITE_RULES_UPDATED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'REQUESTER_BLOCKED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'REQUESTER_UNBLOCKED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'PRIVILEGE_TEMPLATE_CREATED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'PRIVILEGE_TEMPLATE_UPDATED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'PRIVILEGE_TEMPLATE_DELETED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'NAMING_PROPOSED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'NAMING_CONFIRMED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'NAMING_REJECTED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'NAMING_CANCELLED';

ALTER TABLE site
    ADD COLUMN grant_at_most_held BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN second_person_confirms BOOLEAN DEFAULT false NOT NULL,
    ADD COLUMN version INTEGER DEFAULT 1 NOT NULL;

CREATE TRIGGER site_rules_have_a_version
    BEFORE UPDATE OF grant_at_most_held, second_person_confirms, pending_request_days ON site
    FOR EACH ROW EXECUTE FUNCTION count_version();

ALTER TABLE access_request DROP CONSTRAINT ck_access_request_decision_has_a_site;

ALTER TABLE access_request ADD CONSTRAINT ck_access_request_decision_has_a_site
    CHECK (state NOT IN ('GRANTED', 'DENIED') OR site_id IS NOT NULL);

CREATE TABLE blocked_requester (
    site_id UUID NOT NULL,
    id UUID NOT NULL,
    ibm_id TEXT NOT NULL,
    reason TEXT,
    blocked_by_id UUID NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_blocked_requester PRIMARY KEY (site_id, id),
    CONSTRAINT fk_blocked_requester_site_id FOREIGN KEY(site_id) REFERENCES site (id),
    CONSTRAINT fk_blocked_requester_blocked_by_id FOREIGN KEY(blocked_by_id) REFERENCES "user" (id)
);

CREATE UNIQUE INDEX uq_blocked_requester_ibm_id ON blocked_requester (site_id, lower(ibm_id));

CREATE INDEX ix_blocked_requester_id ON blocked_requester (id);

CREATE TABLE privilege_template (
    site_id UUID NOT NULL,
    id UUID NOT NULL,
    slot SMALLINT NOT NULL,
    name TEXT NOT NULL,
    purchase_and_download purchase_and_download_level,
    reporting view_level,
    entitlement_inventory update_level,
    entitlement_allocations update_level,
    manage_access update_level,
    contact_updates update_level,
    account_documents view_level,
    created_at timestamptz DEFAULT now() NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    CONSTRAINT pk_privilege_template PRIMARY KEY (site_id, id),
    CONSTRAINT uq_privilege_template_site_id_slot UNIQUE (site_id, slot),
    CONSTRAINT ck_privilege_template_slot_exists CHECK (slot BETWEEN 1 AND 50),
    CONSTRAINT fk_privilege_template_site_id FOREIGN KEY(site_id) REFERENCES site (id)
);

CREATE UNIQUE INDEX uq_privilege_template_name ON privilege_template (site_id, lower(name));

CREATE INDEX ix_privilege_template_id ON privilege_template (id);

CREATE TRIGGER privilege_template_has_a_version BEFORE UPDATE ON privilege_template
    FOR EACH ROW EXECUTE FUNCTION count_version();

CREATE TYPE naming_kind AS ENUM ('ADD', 'GRANT', 'UPDATE');

CREATE TYPE naming_state AS ENUM ('PENDING', 'CONFIRMED', 'REJECTED', 'CANCELLED');

CREATE TABLE naming (
    site_id UUID NOT NULL,
    id UUID NOT NULL,
    kind naming_kind NOT NULL,
    user_id UUID NOT NULL,
    access_request_id UUID,
    purchase_and_download purchase_and_download_level,
    reporting view_level,
    entitlement_inventory update_level,
    entitlement_allocations update_level,
    manage_access update_level,
    contact_updates update_level,
    account_documents view_level,
    justification TEXT,
    state naming_state NOT NULL,
    proposed_by_id UUID NOT NULL,
    decided_by_id UUID,
    closed_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_naming PRIMARY KEY (site_id, id),
    CONSTRAINT ck_naming_grant_has_a_request CHECK ((kind = 'GRANT') = (access_request_id IS NOT NULL)),
    CONSTRAINT ck_naming_closed_has_a_date CHECK ((state = 'PENDING') = (closed_at IS NULL)),
    CONSTRAINT ck_naming_decision_has_a_decider
        CHECK ((state IN ('CONFIRMED', 'REJECTED')) = (decided_by_id IS NOT NULL)),
    CONSTRAINT ck_naming_never_decided_by_the_proposer CHECK (decided_by_id <> proposed_by_id),
    CONSTRAINT ck_naming_never_decided_by_the_named CHECK (decided_by_id <> user_id),
    CONSTRAINT ck_naming_never_proposed_by_the_named CHECK (proposed_by_id <> user_id),
    CONSTRAINT fk_naming_site_id FOREIGN KEY(site_id) REFERENCES site (id),
    CONSTRAINT fk_naming_user_id FOREIGN KEY(user_id) REFERENCES "user" (id),
    CONSTRAINT fk_naming_access_request_id FOREIGN KEY(access_request_id) REFERENCES access_request (id),
    CONSTRAINT fk_naming_proposed_by_id FOREIGN KEY(proposed_by_id) REFERENCES "user" (id),
    CONSTRAINT fk_naming_decided_by_id FOREIGN KEY(decided_by_id) REFERENCES "user" (id)
);

CREATE UNIQUE INDEX uq_naming_pending ON naming (site_id, user_id) WHERE state = 'PENDING';

CREATE INDEX ix_naming_id ON naming (id);

CREATE INDEX ix_naming_site_id_created_at_id ON naming (site_id, created_at, id);

CREATE FUNCTION refuse_change_of_closed_naming() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closed naming is frozen'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'naming_is_closed';
END $$;

CREATE TRIGGER closed_naming_is_frozen BEFORE UPDATE OR DELETE ON naming
    FOR EACH ROW WHEN (OLD.state <> 'PENDING') EXECUTE FUNCTION refuse_change_of_closed_naming();

GRANT SELECT, INSERT, UPDATE, DELETE ON blocked_requester, privilege_template TO account_management_server;

GRANT SELECT, INSERT, UPDATE ON naming TO account_management_server;
"""

# Requests of blocked people that have expired without a site stay; hence the check looks at new rows only.
DOWN = """
DROP TABLE naming, privilege_template, blocked_requester;

DROP FUNCTION refuse_change_of_closed_naming;

DROP TYPE naming_kind, naming_state;

ALTER TABLE access_request DROP CONSTRAINT ck_access_request_decision_has_a_site;

ALTER TABLE access_request ADD CONSTRAINT ck_access_request_decision_has_a_site
    CHECK (state IN ('PENDING', 'WITHDRAWN') OR site_id IS NOT NULL) NOT VALID;

DROP TRIGGER site_rules_have_a_version ON site;

ALTER TABLE site DROP COLUMN grant_at_most_held, DROP COLUMN second_person_confirms, DROP COLUMN version;
"""


def upgrade() -> None:
    """Apply."""
    for statement in UP.strip().split("\n\n"):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN.strip().split("\n\n"):
        op.execute(statement)
