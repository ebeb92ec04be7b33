// Mercurius with JIT: the schema of the product as far as the benchmark asks, and one hand-written statement a list.
import { readFileSync } from "node:fs";
import Fastify from "fastify";
import { GraphQLScalarType } from "graphql";
import mercurius from "mercurius";
import pg from "pg";

const max = Number(process.env.DATABASE_POOL_SIZE);
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max });
const schema = readFileSync(new URL("schema.graphql", import.meta.url), "utf8");

/** Runs a statement that PostgreSQL prepares once per connection. */
const rows = async (name, text, values) => (await pool.query({ name, text, values })).rows;

const HIGHEST = {
  purchase_and_download: "SOFTWARE_DOWNLOAD_MEDIA_ACCESS_QUOTES_CATALOGS_AND_RENEWALS",
  reporting: "VIEW",
  entitlement_inventory: "UPDATE",
  entitlement_allocations: "UPDATE",
  manage_access: "UPDATE",
  contact_updates: "UPDATE",
  account_documents: "VIEW",
};

const STATES = ["PENDING", "GRANTED", "DENIED", "WITHDRAWN", "EXPIRED"];

const SITE = `
  SELECT id, number, name,
    4 - (SELECT count(seat)::int FROM membership WHERE site_id = site.id) AS "remainingSecondaryContactSeats"
  FROM site WHERE number = $1`;

const MEMBERSHIPS = `
  SELECT membership.id, role, justification, ends_at, purchase_and_download, reporting, entitlement_inventory,
    entitlement_allocations, manage_access, contact_updates, account_documents,
    user_id, ibm_id, email, first_name, last_name
  FROM membership JOIN "user" ON "user".id = user_id
  WHERE site_id = $1 ORDER BY sort_name, membership.id LIMIT $2`;

const CONTACT = `id, first_name AS "firstName", last_name AS "lastName", email, types::text[], phone, address, city,
  state_or_province AS "stateOrProvince", postal_code AS "postalCode", country`;

const CONTACTS = `
  SELECT ${CONTACT} FROM contact WHERE site_id = $1
  ORDER BY 'PRIMARY' <> ALL (contact.types), sort_name, id`;

const REQUESTS = `
  SELECT access_request.id, justification, access_request.created_at, requester_id AS user_id,
    ibm_id, email, first_name, last_name
  FROM access_request JOIN "user" ON "user".id = requester_id
  WHERE site_id = $1
    AND CASE WHEN state = 'PENDING' AND expires_at <= now() THEN 'EXPIRED' ELSE state END
      = ANY ($2::access_request_state[])
  ORDER BY access_request.created_at, access_request.id`;

const SAVE = `
  UPDATE contact SET first_name = $2, last_name = $3, email = $4, types = $5::text[]::contact_type[], phone = $6,
    address = $7, city = $8, state_or_province = $9, postal_code = $10, country = $11
  WHERE id = $1 RETURNING ${CONTACT}`;

const person = (row) => ({
  id: row.user_id,
  name: [row.first_name, row.last_name].filter(Boolean).join(" ") || row.ibm_id,
  email: row.email,
  ibmId: row.ibm_id,
});

const membership = (row) => {
  const held = row.role === "PRIMARY_CONTACT" ? HIGHEST : row;
  return {
    id: row.id,
    role: row.role,
    justification: row.justification,
    endsAt: row.ends_at,
    user: person(row),
    privileges: {
      purchaseAndDownload: held.purchase_and_download,
      reporting: held.reporting,
      entitlementInventory: held.entitlement_inventory,
      entitlementAllocations: held.entitlement_allocations,
      accountManagement: {
        manageAccess: held.manage_access,
        contactUpdates: held.contact_updates,
        contactUpdateOverview: "VIEW",
        accountDocuments: held.account_documents,
      },
    },
  };
};

const request = (row) => ({
  id: row.id,
  justification: row.justification,
  createdAt: row.created_at,
  requester: person(row),
});

const resolvers = {
  DateTime: new GraphQLScalarType({ name: "DateTime", serialize: (moment) => moment.toISOString() }),
  Query: {
    site: async (_, { number }) => (await rows("site", SITE, [number]))[0] ?? null,
  },
  Site: {
    memberships: async (site, { first }) => ({
      nodes: (await rows("memberships", MEMBERSHIPS, [site.id, first])).map(membership),
    }),
    contacts: (site) => rows("contacts", CONTACTS, [site.id]),
    accessRequests: async (site, { filter }) => ({
      nodes: (await rows("requests", REQUESTS, [site.id, filter?.states ?? STATES])).map(request),
    }),
  },
  Contact: {
    details: (contact) => contact,
  },
  Mutation: {
    updateContact: async (_, { input }) => {
      const values = [input.contactId, input.firstName, input.lastName, input.email, input.types, input.phone,
        input.address, input.city, input.stateOrProvince, input.postalCode, input.country];
      return { contact: (await rows("save", SAVE, values))[0], errors: [] };
    },
  },
};

const app = Fastify();
app.register(mercurius, { schema, resolvers, jit: 1, graphiql: false });
await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
