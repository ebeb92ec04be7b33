"""Nominations of a new primary contact, ends of what namings give, and requests of members for more.

PostgreSQL never takes a value out of an enum, so the new events stay when this is taken back.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

UP = """
ALTER TYPE event ADD VALUE IF NOT EXISTS 'PRIMARY_CONTACT_NOMINATED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'NOMINATION_ACCEPTED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'NOMINATION_DECLINED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'NOMINATION_CANCELLED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'NOMINATION_EXPIRED';

ALTER TYPE event ADD VALUE IF NOT EXISTS 'PRIMARY_CONTACT_HANDED_OVER';

CREATE TYPE access_request_kind AS ENUM ('ACCESS', 'EXTENSION', 'HIGHER_LEVEL');

ALTER TABLE access_request
    ADD COLUMN kind access_request_kind DEFAULT 'ACCESS' NOT NULL,
    ADD COLUMN requested_role role,
    ADD COLUMN requested_ends_at timestamptz,
    ADD CONSTRAINT ck_access_request_request_of_a_member_has_a_site
        CHECK (kind = 'ACCESS' OR site_id IS NOT NULL),
    ADD CONSTRAINT ck_access_request_extension_has_an_end
        CHECK ((kind = 'EXTENSION') = (requested_ends_at IS NOT NULL)),
    ADD CONSTRAINT ck_access_request_requested_role_is_higher CHECK (
        requested_role IS NULL OR (kind = 'HIGHER_LEVEL' AND requested_role = 'SECONDARY_CONTACT')
    );

ALTER TABLE naming ADD COLUMN ends_at timestamptz;

CREATE TYPE nomination_state AS ENUM ('PENDING', 'ACCEPTED', 'DECLINED', 'CANCELLED', 'EXPIRED');

CREATE TABLE nomination (
    site_id UUID NOT NULL,
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    membership_id UUID,
    nominated_by_id UUID NOT NULL,
    state nomination_state NOT NULL,
    justification TEXT NOT NULL,
    expires_at timestamptz NOT NULL,
    closed_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_nomination PRIMARY KEY (site_id, id),
    CONSTRAINT ck_nomination_nominee_is_somebody_else CHECK (user_id <> nominated_by_id),
    CONSTRAINT ck_nomination_closed_has_a_date CHECK ((state = 'PENDING') = (closed_at IS NULL)),
    CONSTRAINT ck_nomination_nominee_is_a_member CHECK ((state = 'PENDING') = (membership_id IS NOT NULL)),
    CONSTRAINT ck_nomination_expires_after_it_was_made CHECK (expires_at > created_at),
    CONSTRAINT fk_nomination_site_id FOREIGN KEY(site_id) REFERENCES site (id),
    CONSTRAINT fk_nomination_user_id FOREIGN KEY(user_id) REFERENCES "user" (id),
    CONSTRAINT fk_nomination_nominated_by_id FOREIGN KEY(nominated_by_id) REFERENCES "user" (id),
    CONSTRAINT fk_nomination_site_id_membership_id
        FOREIGN KEY(site_id, membership_id) REFERENCES membership (site_id, id)
);

CREATE UNIQUE INDEX uq_nomination_pending ON nomination (site_id) WHERE state = 'PENDING';

CREATE INDEX ix_nomination_id ON nomination (id);

CREATE INDEX ix_nomination_user_id ON nomination (user_id);

CREATE FUNCTION refuse_change_of_closed_nomination() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closed nomination is frozen'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'nomination_is_closed';
END $$;

CREATE TRIGGER closed_nomination_is_frozen BEFORE UPDATE OR DELETE ON nomination
    FOR EACH ROW WHEN (OLD.state <> 'PENDING') EXECUTE FUNCTION refuse_change_of_closed_nomination();

GRANT SELECT, INSERT, UPDATE ON nomination TO account_management_server;
"""

DOWN = """
DROP TABLE nomination;

DROP FUNCTION refuse_change_of_closed_nomination;

DROP TYPE nomination_state;

ALTER TABLE naming DROP COLUMN ends_at;

ALTER TABLE access_request DROP COLUMN kind, DROP COLUMN requested_role, DROP COLUMN requested_ends_at;

DROP TYPE access_request_kind;
"""


def upgrade() -> None:
    """Apply."""
    for statement in UP.strip().split("\n\n"):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN.strip().split("\n\n"):
        op.execute(statement)
