// graphql-sse in distinct connections mode: a query and a subscription, each on a connection of its own.
import { createClient } from 'graphql-sse';
import { authorization, changes, fail, http, page, take, tell, variables } from './common.mjs';

const client = createClient({ url: http, headers: { authorization }, retryAttempts: 0 });
for await (const asked of client.iterate({ query: page, variables })) tell('page', asked.data);
client.subscribe(
  { query: changes, variables },
  {
    next({ data, errors }) {
      if (errors) fail(errors);
      take(data);
    },
    error: fail,
    complete: () => fail(new Error('completed')),
  },
);
