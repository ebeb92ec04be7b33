// What all scripts share: who they are, what they ask for, and how they tell the test what they got.
export const { ADDRESS, TOKEN, SITE } = process.env;
export const EVENTS = Number(process.env.EVENTS);
export const http = `http://${ADDRESS}/graphql`;
export const socket = `ws://${ADDRESS}/graphql`;
export const authorization = `Bearer ${TOKEN}`;
export const page = 'query Page($site: ID!) { site(id: $site) { __typename id name lastEventId } }';
export const changes = `subscription Changes($site: ID!, $after: ID) {
  siteChanged(siteId: $site, after: $after) { __typename event eventId site { __typename id contacts { __typename id lastName } } }
}`;
export const variables = { site: SITE };

export function tell(kind, value) {
  console.log(JSON.stringify({ kind, value }));
}

// Takes results until there were enough of them. Whatever is no result ends the script.
export function take(data) {
  tell('event', data.siteChanged);
  take.count = (take.count ?? 0) + 1;
  if (take.count === EVENTS) process.exit(0);
}

export function fail(error) {
  tell('error', Array.isArray(error) ? error : { message: error?.message, errors: error?.errors, code: error?.code });
  process.exit(1);
}

process.on('unhandledRejection', fail);
