-- What PostGraphile cannot know from the tables, written as it recommends: functions that become fields of a type.

CREATE FUNCTION site_people(site site) RETURNS SETOF membership LANGUAGE sql STABLE AS $$
    SELECT membership.* FROM membership JOIN "user" ON "user".id = user_id
    WHERE site_id = site.id ORDER BY sort_name, membership.id
$$;

CREATE FUNCTION site_contact_list(site site) RETURNS SETOF contact LANGUAGE sql STABLE AS $$
    SELECT contact.* FROM contact WHERE site_id = site.id
    ORDER BY 'PRIMARY' <> ALL (types), sort_name, id
$$;

CREATE FUNCTION site_pending_requests(site site) RETURNS SETOF access_request LANGUAGE sql STABLE AS $$
    SELECT access_request.* FROM access_request
    WHERE site_id = site.id AND state = 'PENDING' AND (expires_at > now()) IS NOT FALSE ORDER BY created_at, id
$$;

CREATE FUNCTION site_remaining_seats(site site) RETURNS int LANGUAGE sql STABLE AS $$
    SELECT 4 - count(seat)::int FROM membership WHERE site_id = site.id
$$;

CREATE FUNCTION user_name("user" "user") RETURNS text LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(concat_ws(' ', "user".first_name, "user".last_name), ''), "user".ibm_id)
$$;
