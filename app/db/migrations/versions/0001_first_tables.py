"""The first tables, the triggers beside them, and the role of the server.

The role may belong to several databases of one PostgreSQL, so it is not dropped when this is taken back.
"""

from alembic import op

revision = "0001"
down_revision = None

UP = """
CREATE TYPE role AS ENUM ('PRIMARY_CONTACT', 'SECONDARY_CONTACT', 'USER');

CREATE TYPE language AS ENUM ('EN', 'FR');

CREATE TYPE purchase_and_download_level AS ENUM (
    'NONE',
    'SOFTWARE_DOWNLOAD',
    'SOFTWARE_DOWNLOAD_AND_MEDIA_ACCESS',
    'SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS'
);

CREATE TYPE view_level AS ENUM ('NONE', 'VIEW');

CREATE TYPE update_level AS ENUM ('NONE', 'VIEW', 'UPDATE');

CREATE TYPE contact_type AS ENUM (
    'PRIMARY',
    'SITE_TECHNICAL',
    'ADMINISTRATIVE_PROOF_OF_ENTITLEMENT',
    'SUBSCRIPTION_AND_SUPPORT_RENEWAL',
    'SUBSCRIPTION_AND_SUPPORT_MEDIA_SHIPMENT',
    'BILLING'
);

CREATE TYPE access_request_state AS ENUM ('PENDING', 'GRANTED', 'DENIED', 'WITHDRAWN', 'EXPIRED');

CREATE TYPE denial_reason AS ENUM ('UNKNOWN_REQUESTER', 'ACCESS_NOT_NECESSARY', 'NO_BUSINESS_RELATIONSHIP');

CREATE TYPE event AS ENUM (
    'SITE_CREATED',
    'USER_REGISTERED',
    'USER_SIGNED_IN_FIRST',
    'ACCESS_REQUESTED',
    'ACCESS_REQUEST_WITHDRAWN',
    'ACCESS_REQUEST_EXPIRED',
    'ACCESS_REQUEST_GRANTED',
    'ACCESS_REQUEST_DENIED',
    'USER_ADDED',
    'MEMBERSHIP_UPDATED',
    'MEMBERSHIP_REMOVED',
    'SITE_LEFT',
    'CONTACT_CREATED',
    'CONTACT_UPDATED',
    'CONTACT_DELETED'
);

CREATE TABLE site (
    id UUID NOT NULL,
    number TEXT NOT NULL,
    name TEXT NOT NULL,
    primary_membership_id UUID NOT NULL,
    primary_role role GENERATED ALWAYS AS ('PRIMARY_CONTACT'::role) STORED NOT NULL,
    pending_request_days INTEGER,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_site PRIMARY KEY (id),
    CONSTRAINT uq_site_id_number UNIQUE (id, number),
    CONSTRAINT ck_site_number_is_normal CHECK (number = upper(trim(number)) AND number <> ''),
    CONSTRAINT ck_site_pending_request_days_are_positive CHECK (pending_request_days > 0),
    CONSTRAINT uq_site_number UNIQUE (number)
);

CREATE TABLE "user" (
    id UUID NOT NULL,
    ibm_id TEXT NOT NULL,
    email TEXT NOT NULL,
    first_name TEXT,
    last_name TEXT,
    language language DEFAULT 'EN' NOT NULL,
    issuer TEXT,
    subject TEXT,
    sort_name TEXT NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_user PRIMARY KEY (id),
    CONSTRAINT uq_user_identity UNIQUE (issuer, subject),
    CONSTRAINT ck_user_identity_is_whole CHECK ((issuer IS NULL) = (subject IS NULL))
);

CREATE UNIQUE INDEX uq_user_ibm_id ON "user" (lower(ibm_id));

CREATE TABLE history_event (
    stream UUID NOT NULL,
    number BIGINT DEFAULT '0' NOT NULL,
    site_id UUID,
    at timestamptz DEFAULT now() NOT NULL,
    event event NOT NULL,
    actor_id UUID,
    actor_name TEXT NOT NULL,
    client TEXT,
    subject_type TEXT NOT NULL,
    subject_id UUID NOT NULL,
    subject_name TEXT NOT NULL,
    before JSONB,
    after JSONB,
    reason TEXT,
    justification TEXT,
    previous_hash BYTEA,
    hash BYTEA DEFAULT ''::bytea NOT NULL,
    CONSTRAINT pk_history_event PRIMARY KEY (stream, number)
);

CREATE INDEX ix_history_event_stream_actor_id_number ON history_event (stream, actor_id, number);

CREATE INDEX ix_history_event_stream_subject_id_number ON history_event (stream, subject_id, number);

CREATE TABLE membership (
    site_id UUID NOT NULL,
    id UUID NOT NULL,
    user_id UUID NOT NULL,
    role role NOT NULL,
    seat SMALLINT,
    purchase_and_download purchase_and_download_level,
    reporting view_level,
    entitlement_inventory update_level,
    entitlement_allocations update_level,
    manage_access update_level,
    contact_updates update_level,
    account_documents view_level,
    justification TEXT,
    ends_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_membership PRIMARY KEY (site_id, id),
    CONSTRAINT uq_membership_site_id_user_id UNIQUE (site_id, user_id),
    CONSTRAINT uq_membership_site_id_seat UNIQUE (site_id, seat),
    CONSTRAINT uq_membership_site_id_id_role UNIQUE (site_id, id, role),
    CONSTRAINT ck_membership_seat_is_for_secondary_contacts
        CHECK ((role = 'SECONDARY_CONTACT') = (seat IS NOT NULL)),
    CONSTRAINT ck_membership_seat_exists CHECK (seat BETWEEN 1 AND 4),
    CONSTRAINT ck_membership_primary_contact_does_not_end
        CHECK (role <> 'PRIMARY_CONTACT' OR ends_at IS NULL),
    CONSTRAINT ck_membership_levels_are_stored_but_for_the_primary_contact CHECK (
        num_nulls(purchase_and_download, reporting, entitlement_inventory,
            entitlement_allocations, manage_access, contact_updates, account_documents)
            = CASE role WHEN 'PRIMARY_CONTACT' THEN 7 ELSE 0 END
    ),
    CONSTRAINT ck_membership_levels_fit_the_role
        CHECK (role <> 'USER' OR (manage_access = 'NONE' AND contact_updates = 'NONE')),
    CONSTRAINT fk_membership_site_id FOREIGN KEY(site_id) REFERENCES site (id),
    CONSTRAINT fk_membership_user_id FOREIGN KEY(user_id) REFERENCES "user" (id)
);

CREATE INDEX ix_membership_user_id_site_id ON membership (user_id, site_id);

CREATE UNIQUE INDEX uq_membership_primary_contact ON membership (site_id) WHERE role = 'PRIMARY_CONTACT';

CREATE INDEX ix_membership_id ON membership (id);

CREATE FUNCTION has_no_duplicates(items anyarray) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS $$ SELECT cardinality(items) = (SELECT count(DISTINCT item) FROM unnest(items) AS item) $$;

CREATE TABLE contact (
    site_id UUID NOT NULL,
    id UUID NOT NULL,
    first_name TEXT NOT NULL,
    last_name TEXT NOT NULL,
    phone TEXT NOT NULL,
    email TEXT NOT NULL,
    address TEXT NOT NULL,
    city TEXT NOT NULL,
    state_or_province TEXT,
    postal_code TEXT,
    country TEXT NOT NULL,
    types contact_type[] NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_contact PRIMARY KEY (site_id, id),
    CONSTRAINT ck_contact_has_a_type CHECK (cardinality(types) > 0),
    CONSTRAINT ck_contact_types_differ CHECK (has_no_duplicates(types)),
    CONSTRAINT ck_contact_country_is_a_code CHECK (country ~ '^[A-Z]{2}$'),
    CONSTRAINT fk_contact_site_id FOREIGN KEY(site_id) REFERENCES site (id)
);

CREATE UNIQUE INDEX uq_contact_primary ON contact (site_id) WHERE 'PRIMARY' = ANY (types);

CREATE INDEX ix_contact_id ON contact (id);

CREATE TABLE access_request (
    id UUID NOT NULL,
    site_id UUID,
    site_number TEXT NOT NULL,
    requester_id UUID NOT NULL,
    state access_request_state NOT NULL,
    justification TEXT,
    purchase_and_download purchase_and_download_level,
    reporting view_level,
    entitlement_inventory update_level,
    entitlement_allocations update_level,
    manage_access update_level,
    contact_updates update_level,
    account_documents view_level,
    approver_justification TEXT,
    granted_role role,
    denial_reason denial_reason,
    decided_by_id UUID,
    closed_at timestamptz,
    expires_at timestamptz,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_access_request PRIMARY KEY (id),
    CONSTRAINT fk_access_request_site_id_site_number
        FOREIGN KEY(site_id, site_number) REFERENCES site (id, number),
    CONSTRAINT ck_access_request_closed_has_a_date CHECK ((state = 'PENDING') = (closed_at IS NULL)),
    CONSTRAINT ck_access_request_decision_has_a_decider
        CHECK ((state IN ('GRANTED', 'DENIED')) = (decided_by_id IS NOT NULL)),
    CONSTRAINT ck_access_request_never_decided_by_the_requester CHECK (decided_by_id <> requester_id),
    CONSTRAINT ck_access_request_denial_has_a_reason
        CHECK ((state = 'DENIED') = (denial_reason IS NOT NULL)),
    CONSTRAINT ck_access_request_grant_has_a_role CHECK ((state = 'GRANTED') = (granted_role IS NOT NULL)),
    CONSTRAINT ck_access_request_never_grants_the_primary_contact CHECK (granted_role <> 'PRIMARY_CONTACT'),
    CONSTRAINT ck_access_request_decision_has_a_site
        CHECK (state IN ('PENDING', 'WITHDRAWN') OR site_id IS NOT NULL),
    CONSTRAINT fk_access_request_requester_id FOREIGN KEY(requester_id) REFERENCES "user" (id),
    CONSTRAINT fk_access_request_decided_by_id FOREIGN KEY(decided_by_id) REFERENCES "user" (id)
);

CREATE INDEX ix_access_request_site_id_created_at_id ON access_request (site_id, created_at, id);

CREATE INDEX ix_access_request_decided_by_id ON access_request (decided_by_id);

CREATE UNIQUE INDEX uq_access_request_pending
        ON access_request (site_number, requester_id) WHERE state = 'PENDING';

CREATE INDEX ix_access_request_requester_id_created_at_id ON access_request (requester_id, created_at, id);

ALTER TABLE site
    ADD CONSTRAINT fk_site_primary_membership
        FOREIGN KEY(id, primary_membership_id, primary_role) REFERENCES membership (site_id, id, role)
        DEFERRABLE INITIALLY DEFERRED;

CREATE FUNCTION refuse_change_of_closed_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closed access request is frozen'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'access_request_is_closed';
END $$;

CREATE TRIGGER closed_request_is_frozen BEFORE UPDATE OR DELETE ON access_request
    FOR EACH ROW WHEN (OLD.state <> 'PENDING') EXECUTE FUNCTION refuse_change_of_closed_request();

CREATE FUNCTION require_primary_contact_record() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    checked uuid := CASE TG_TABLE_NAME WHEN 'site' THEN to_jsonb(NEW) ->> 'id' ELSE to_jsonb(OLD) ->> 'site_id' END;
BEGIN
    IF EXISTS (SELECT FROM site WHERE id = checked)
        AND NOT EXISTS (SELECT FROM contact WHERE site_id = checked AND 'PRIMARY' = ANY (types))
    THEN
        RAISE EXCEPTION 'a site has exactly one contact of the type PRIMARY'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'site_has_primary_contact_record';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER site_has_primary_contact_record AFTER UPDATE OR DELETE ON contact
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_primary_contact_record();

CREATE CONSTRAINT TRIGGER site_has_primary_contact_record AFTER INSERT ON site
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_primary_contact_record();

CREATE FUNCTION chain_history_event() RETURNS trigger LANGUAGE plpgsql SET timezone = 'UTC' AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.stream::text, 0));
    SELECT last.number, last.hash INTO NEW.number, NEW.previous_hash
        FROM history_event AS last WHERE last.stream = NEW.stream ORDER BY last.number DESC LIMIT 1;
    NEW.number = coalesce(NEW.number, 0) + 1;
    NEW.hash = sha256(convert_to(jsonb_strip_nulls(to_jsonb(NEW) - 'hash')::text, 'UTF8'));
    RETURN NEW;
END $$;

CREATE TRIGGER history_event_is_chained BEFORE INSERT ON history_event
    FOR EACH ROW EXECUTE FUNCTION chain_history_event();

CREATE FUNCTION refuse_change_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'history is never altered'
        USING ERRCODE = 'check_violation', CONSTRAINT = 'history_is_append_only';
END $$;

CREATE TRIGGER history_event_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON history_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();

DO $$
BEGIN
    -- Who owns the database may find it made by somebody with more rights.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'account_management_server') THEN
        CREATE ROLE account_management_server NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END $$;

DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'account_management_server', 'MEMBER') THEN
        GRANT account_management_server TO CURRENT_USER;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    -- The owner need not be able to serve.
    NULL;
END $$;

GRANT USAGE ON SCHEMA public TO account_management_server;

GRANT SELECT, INSERT, UPDATE, DELETE ON membership, contact TO account_management_server;

GRANT SELECT, INSERT, UPDATE ON site, "user", access_request TO account_management_server;

GRANT SELECT, INSERT ON history_event TO account_management_server;

GRANT SELECT ON alembic_version TO account_management_server;
"""

DOWN = """
DROP TABLE history_event, access_request, contact CASCADE;

ALTER TABLE site DROP CONSTRAINT fk_site_primary_membership;

DROP TABLE membership, site, "user";

DROP FUNCTION has_no_duplicates, refuse_change_of_closed_request, require_primary_contact_record,
    chain_history_event, refuse_change_of_history;

DROP TYPE role, language, purchase_and_download_level, view_level, update_level, contact_type,
    access_request_state, denial_reason, event;

REVOKE ALL ON SCHEMA public FROM account_management_server;

REVOKE ALL ON alembic_version FROM account_management_server;
"""


def upgrade() -> None:
    """Apply."""
    for statement in UP.strip().split("\n\n"):
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in DOWN.strip().split("\n\n"):
        op.execute(statement)
