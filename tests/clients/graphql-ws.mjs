// graphql-ws: a query, then a subscription that goes on by itself, from the last event, when its socket is closed.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { authorization, changes, fail, page, socket, take, tell, variables } from './common.mjs';

let opened = 0;
let onClosed;
const firstClosed = new Promise(resolve => (onClosed = resolve));
const client = createClient({
  url: socket,
  webSocketImpl: WebSocket,
  connectionParams: () => ({ authorization: process.env[`TOKEN_${opened}`] ?? authorization }),
  retryAttempts: 5,
  retryWait: async () => {},
  on: {
    opened: () => (opened += 1),
    closed: event => onClosed(tell('closed', event.code)),
  },
});
client.subscribe({ query: page, variables }, { next: ({ data }) => tell('page', data), error: fail, complete() {} });
// Nothing runs on its socket any more, so it closes it; the subscription opens another.
await firstClosed;

// graphql-ws subscribes again with the same payload after a lost socket: it holds the last event by then.
const following = { ...variables };
client.subscribe(
  { query: changes, variables: following },
  {
    next({ data, errors }) {
      if (errors) fail(errors);
      following.after = data.siteChanged.eventId;
      take(data);
    },
    error: fail,
    complete: () => fail(new Error('completed')),
  },
);
