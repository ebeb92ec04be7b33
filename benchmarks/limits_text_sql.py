"""The statements of `limit_text`: the JSON is concatenated, which costs PostgreSQL half of what its functions do.

Only texts need `to_json`, which quotes them; keys, levels and roles have no characters that need it.
"""

# ruff: noqa: S608

from benchmarks.limits_sql import SAVE

HIGHEST = "'SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS'"

PERSON = """'{"id":"' || "user".id
    || '","name":' || to_json(
        coalesce(nullif(concat_ws(' ', "user".first_name, "user".last_name), ''), "user".ibm_id))
    || ',"email":' || to_json("user".email) || ',"ibmId":' || to_json("user".ibm_id) || '}'"""

MEMBERSHIP = f"""'{{"id":"' || membership.id
    || '","justification":' || coalesce(to_json(membership.justification)::text, 'null')
    || ',"role":"' || membership.role
    || '","endsAt":' || coalesce(to_json(membership.ends_at)::text, 'null')
    || ',"user":' || {PERSON}
    || ',"privileges":{{"purchaseAndDownload":"' || coalesce(purchase_and_download, {HIGHEST})
    || '","reporting":"' || coalesce(reporting, 'VIEW')
    || '","entitlementInventory":"' || coalesce(entitlement_inventory, 'UPDATE')
    || '","entitlementAllocations":"' || coalesce(entitlement_allocations, 'UPDATE')
    || '","accountManagement":{{"manageAccess":"' || coalesce(manage_access, 'UPDATE')
    || '","contactUpdates":"' || coalesce(contact_updates, 'UPDATE')
    || '","contactUpdateOverview":"VIEW","accountDocuments":"' || coalesce(account_documents, 'VIEW')
    || '"}}}}}}'"""

CONTACT = """'{"id":"' || contact.id
    || '","firstName":' || to_json(first_name) || ',"lastName":' || to_json(last_name)
    || ',"email":' || to_json(email) || ',"types":' || to_json(types)
    || ',"details":{"phone":' || to_json(phone) || ',"address":' || to_json(address) || ',"city":' || to_json(city)
    || ',"stateOrProvince":' || coalesce(to_json(state_or_province)::text, 'null')
    || ',"postalCode":' || coalesce(to_json(postal_code)::text, 'null')
    || ',"country":"' || country || '"}}'"""

REQUEST = f"""'{{"id":"' || access_request.id
    || '","justification":' || coalesce(to_json(access_request.justification)::text, 'null')
    || ',"createdAt":' || to_json(access_request.created_at) || ',"requester":' || {PERSON} || '}}'"""

TEXT_PAGE = f"""
SELECT convert_to('{{"data":{{"site":{{"id":"' || site.id
    || '","number":' || to_json(number) || ',"name":' || to_json(name)
    || ',"remainingSecondaryContactSeats":'
    || 4 - (SELECT count(seat) FROM membership WHERE membership.site_id = site.id)
    || ',"memberships":{{"nodes":[' || coalesce((
        SELECT string_agg(line, ',') FROM (
            SELECT {MEMBERSHIP} AS line
            FROM membership JOIN "user" ON "user".id = membership.user_id
            WHERE membership.site_id = site.id
            ORDER BY "user".sort_name, membership.id LIMIT $2
        ) AS page), '')
    || ']}},"contacts":[' || coalesce((
        SELECT string_agg({CONTACT}, ','
            ORDER BY 'PRIMARY' <> ALL (types), contact.sort_name, contact.id)
        FROM contact WHERE contact.site_id = site.id), '')
    || '],"accessRequests":{{"nodes":[' || coalesce((
        SELECT string_agg({REQUEST}, ',' ORDER BY access_request.created_at, access_request.id)
        FROM access_request JOIN "user" ON "user".id = requester_id
        WHERE access_request.site_id = site.id AND state = 'PENDING' AND (expires_at > now()) IS NOT FALSE), '')
    || ']}}}}}}}}', 'UTF8')
FROM site WHERE number = $1
"""

TEXT_SAVE = f"""
WITH contact AS ({SAVE})
SELECT convert_to('{{"data":{{"updateContact":{{"contact":' || {CONTACT} || ',"errors":[]}}}}}}', 'UTF8') FROM contact
"""
