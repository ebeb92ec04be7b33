"""The statements of the limits, written by hand out of the constants below."""

# ruff: noqa: S608

SITE = """
SELECT id, number, name,
    4 - (SELECT count(seat) FROM membership WHERE membership.site_id = site.id) AS seats
FROM site WHERE number = $1
"""

MEMBERSHIPS = """
SELECT membership.id, membership.justification, membership.role, membership.ends_at,
    "user".id, "user".first_name, "user".last_name, "user".ibm_id, "user".email,
    purchase_and_download, reporting, entitlement_inventory, entitlement_allocations,
    manage_access, contact_updates, account_documents
FROM membership JOIN "user" ON "user".id = membership.user_id
WHERE membership.site_id = $1
ORDER BY "user".sort_name, membership.id LIMIT $2
"""

CONTACT = (
    "contact.id, first_name, last_name, email, types,"
    " phone, address, city, state_or_province, postal_code, country"
)
CONTACTS = f"""
SELECT {CONTACT} FROM contact WHERE site_id = $1
ORDER BY 'PRIMARY' <> ALL (types), contact.sort_name, id
"""

REQUESTS = """
SELECT access_request.id, justification, access_request.created_at,
    "user".id, first_name, last_name, ibm_id, email
FROM access_request JOIN "user" ON "user".id = requester_id
WHERE site_id = $1 AND state = 'PENDING' AND (expires_at > now()) IS NOT FALSE
ORDER BY access_request.created_at, access_request.id
"""

SAVE = f"""
UPDATE contact SET first_name = $2, last_name = $3, email = $4, types = $5::text[]::contact_type[], phone = $6,
    address = $7, city = $8, state_or_province = $9, postal_code = $10, country = $11
WHERE id = $1 RETURNING {CONTACT}
"""

PERSON = """json_build_object('id', "user".id,
    'name', coalesce(nullif(concat_ws(' ', "user".first_name, "user".last_name), ''), "user".ibm_id),
    'email', "user".email, 'ibmId', "user".ibm_id)"""

JSON_CONTACT = """json_build_object('id', contact.id, 'firstName', first_name, 'lastName', last_name,
    'email', email, 'types', types, 'details', json_build_object('phone', phone, 'address', address, 'city', city,
    'stateOrProvince', state_or_province, 'postalCode', postal_code, 'country', country))"""

JSON_MEMBERSHIP = f"""json_build_object('id', membership.id, 'justification', membership.justification,
    'role', membership.role, 'endsAt', membership.ends_at, 'user', {PERSON},
    'privileges', json_build_object(
        'purchaseAndDownload', coalesce(purchase_and_download,
            'SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS'),
        'reporting', coalesce(reporting, 'VIEW'),
        'entitlementInventory', coalesce(entitlement_inventory, 'UPDATE'),
        'entitlementAllocations', coalesce(entitlement_allocations, 'UPDATE'),
        'accountManagement', json_build_object(
            'manageAccess', coalesce(manage_access, 'UPDATE'),
            'contactUpdates', coalesce(contact_updates, 'UPDATE'),
            'contactUpdateOverview', 'VIEW',
            'accountDocuments', coalesce(account_documents, 'VIEW'))))"""

JSON_REQUEST = f"""json_build_object('id', access_request.id, 'justification', access_request.justification,
    'createdAt', access_request.created_at, 'requester', {PERSON})"""

JSON_PAGE = f"""
SELECT convert_to(json_build_object('data', json_build_object('site', json_build_object(
    'id', site.id, 'number', number, 'name', name,
    'remainingSecondaryContactSeats',
        4 - (SELECT count(seat) FROM membership WHERE membership.site_id = site.id),
    'memberships', json_build_object('nodes', coalesce((
        SELECT json_agg(line) FROM (
            SELECT {JSON_MEMBERSHIP} AS line
            FROM membership JOIN "user" ON "user".id = membership.user_id
            WHERE membership.site_id = site.id
            ORDER BY "user".sort_name, membership.id LIMIT $2
        ) AS page), '[]')),
    'contacts', coalesce((
        SELECT json_agg({JSON_CONTACT}
            ORDER BY 'PRIMARY' <> ALL (types), contact.sort_name, contact.id)
        FROM contact WHERE contact.site_id = site.id), '[]'),
    'accessRequests', json_build_object('nodes', coalesce((
        SELECT json_agg({JSON_REQUEST} ORDER BY access_request.created_at, access_request.id)
        FROM access_request JOIN "user" ON "user".id = requester_id
        WHERE access_request.site_id = site.id AND state = 'PENDING' AND (expires_at > now()) IS NOT FALSE), '[]'))
)))::text, 'UTF8')
FROM site WHERE number = $1
"""

JSON_SAVE = f"""
WITH contact AS ({SAVE})
SELECT convert_to(json_build_object('data', json_build_object('updateContact', json_build_object(
    'contact', {JSON_CONTACT}, 'errors', '[]'::json)))::text, 'UTF8')
FROM contact
"""
