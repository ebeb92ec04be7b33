-- The data of the benchmark, in one transaction. How much of it, is set before:
-- benchmark.sites with 60 members each, and one site more with 500.

CREATE FUNCTION pg_temp.key(kind int, site int, place int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT (lpad(to_hex(site), 8, '0') || '-0000-7' || lpad(to_hex(kind), 3, '0')
        || '-8000-' || lpad(to_hex(place), 12, '0'))::uuid
$$;

CREATE TEMPORARY TABLE place ON COMMIT DROP AS
SELECT site, place, 'person' || place || '.site' || site || '@example.com' AS address,
    place % 10 <> 0 AS signed_in,
    (ARRAY['Amélie', 'Bruno', 'Chloé', 'David', 'Élodie', 'Farid', 'Gaël', 'Hélène', 'Inès', 'Jérôme', 'Karim'])
        [1 + (site + place * 7) % 11] AS first_name,
    (ARRAY['Martin', 'Bernard', 'Lefèvre', 'Dubois', 'Müller', 'Nuñez', 'Garçon', 'Benali', 'Petit', 'Caron',
        'Fontaine', 'Rossi', 'Weber', 'Noël', 'Smith', 'Kowalski', 'Andersson'])
        [1 + (site * 3 + place * 5) % 17] AS last_name
FROM generate_series(1, current_setting('benchmark.sites')::int + 1) AS site,
    generate_series(1, CASE WHEN site > current_setting('benchmark.sites')::int THEN 500 ELSE 60 END) AS place;

INSERT INTO site (id, number, name, primary_membership_id, created_at)
SELECT pg_temp.key(1, site, 0), 'S' || lpad(site::text, 7, '0'), 'Site n° ' || site, pg_temp.key(3, site, 1),
    '2026-01-05 08:00:00+00'
FROM place WHERE place = 1;

INSERT INTO "user" (id, ibm_id, email, first_name, last_name, issuer, subject, sort_name)
SELECT pg_temp.key(2, site, place), address, address,
    CASE WHEN signed_in THEN first_name END, CASE WHEN signed_in THEN last_name END,
    CASE WHEN signed_in THEN 'urn:account-management:development' END, CASE WHEN signed_in THEN address END,
    CASE WHEN signed_in
        THEN translate(lower(last_name || ' ' || first_name), 'éèëêçñôüïî', 'eeeecnouii') ELSE address END
FROM place;

-- The first is the primary contact, the next three are secondary contacts.
INSERT INTO membership (site_id, id, user_id, role, seat, purchase_and_download, reporting, entitlement_inventory,
    entitlement_allocations, manage_access, contact_updates, account_documents, justification, ends_at, created_at)
SELECT pg_temp.key(1, site, 0), pg_temp.key(3, site, place), pg_temp.key(2, site, place), role,
    CASE role WHEN 'SECONDARY_CONTACT' THEN place - 1 END,
    CASE WHEN place > 1 THEN (enum_range(NULL::purchase_and_download_level))[1 + place % 4] END,
    CASE WHEN place > 1 THEN (enum_range(NULL::view_level))[1 + place % 2] END,
    CASE WHEN place > 1 THEN (enum_range(NULL::update_level))[1 + place % 3] END,
    CASE WHEN place > 1 THEN (enum_range(NULL::update_level))[1 + (place + 1) % 3] END,
    CASE role WHEN 'SECONDARY_CONTACT' THEN 'UPDATE'::update_level WHEN 'USER' THEN 'NONE' END,
    CASE role WHEN 'SECONDARY_CONTACT' THEN 'VIEW'::update_level WHEN 'USER' THEN 'NONE' END,
    CASE WHEN place > 1 THEN (enum_range(NULL::view_level))[1 + place / 2 % 2] END,
    CASE WHEN place > 1 THEN 'Works for the site since ' || 2000 + place % 26 END,
    CASE WHEN place % 15 = 0 THEN '2036-12-31 23:00:00+00'::timestamptz END,
    '2026-01-05 08:00:00+00'::timestamptz + make_interval(mins => place)
FROM place, LATERAL (
    SELECT (CASE WHEN place = 1 THEN 'PRIMARY_CONTACT' WHEN place < 5 THEN 'SECONDARY_CONTACT' ELSE 'USER' END)::role
) AS member (role);

INSERT INTO contact (site_id, id, first_name, last_name, phone, email, address, city, postal_code, country, types,
    created_at)
SELECT pg_temp.key(1, site, 0), pg_temp.key(4, site, place), first_name, last_name, '+3314268530' || place,
    'contact' || place || '@site' || site || '.example.com', place || ' rue de la Paix', 'Paris', '75002', 'FR',
    CASE place WHEN 1 THEN '{PRIMARY,BILLING}' WHEN 2 THEN '{BILLING}' WHEN 3 THEN '{SITE_TECHNICAL}'
        ELSE '{SITE_TECHNICAL,SUBSCRIPTION_AND_SUPPORT_RENEWAL}' END::contact_type[],
    '2026-01-05 08:00:00+00'
FROM place WHERE place <= 5;

-- Five requests for each site, by people of the next one: three are pending, one is granted, one is denied.
INSERT INTO access_request (id, site_id, site_number, requester_id, state, justification, granted_role, denial_reason,
    decided_by_id, closed_at, expires_at, created_at)
SELECT pg_temp.key(5, site, place), pg_temp.key(1, site, 0), 'S' || lpad(site::text, 7, '0'),
    pg_temp.key(2, site % current_setting('benchmark.sites')::int + 1, 50 + place),
    CASE place WHEN 4 THEN 'GRANTED' WHEN 5 THEN 'DENIED' ELSE 'PENDING' END::access_request_state,
    'I shall look after the site''s licences', CASE place WHEN 4 THEN 'USER'::role END,
    CASE place WHEN 5 THEN 'UNKNOWN_REQUESTER'::denial_reason END,
    CASE WHEN place > 3 THEN pg_temp.key(2, site, 1) END,
    CASE WHEN place > 3 THEN '2026-02-01 08:00:00+00'::timestamptz END,
    CASE WHEN place = 3 THEN '2036-12-31 23:00:00+00'::timestamptz END,
    '2026-01-10 08:00:00+00'::timestamptz + make_interval(hours => place)
FROM place WHERE place <= 5;
