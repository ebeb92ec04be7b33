// urql: everything by fetch, subscriptions as server-sent events; its Accept mentions them for queries too.
import { Client, cacheExchange, fetchExchange } from '@urql/core';
import { authorization, changes, fail, http, page, take, tell, variables } from './common.mjs';

const client = new Client({
  url: http,
  exchanges: [cacheExchange, fetchExchange],
  fetchSubscriptions: true,
  preferGetMethod: false,
  fetchOptions: { headers: { authorization } },
});
const asked = await client.query(page, variables).toPromise();
if (asked.error) fail(asked.error);
tell('page', asked.data);
client.subscription(changes, variables).subscribe(({ data, error }) => {
  if (error) fail(error);
  take(data);
});
