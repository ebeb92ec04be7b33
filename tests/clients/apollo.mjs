// Apollo Client: queries by HTTP, subscriptions over WebSocket; what is told goes into its cache.
import { ApolloClient, HttpLink, InMemoryCache, gql, split } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { getMainDefinition } from '@apollo/client/utilities';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { authorization, changes, fail, http, page, socket, take, tell, variables } from './common.mjs';

// Browsers have it, Node.js only from 22 on; Apollo Client looks at it when a subscription ends with an error.
globalThis.WebSocket ??= WebSocket;
const overSocket = new GraphQLWsLink(
  createClient({ url: socket, webSocketImpl: WebSocket, connectionParams: { authorization } }),
);
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: split(
    ({ query }) => getMainDefinition(query).operation === 'subscription',
    overSocket,
    new HttpLink({ uri: http, headers: { authorization } }),
  ),
});
const asked = await client.query({ query: gql(page), variables });
tell('page', asked.data);
client.subscribe({ query: gql(changes), variables }).subscribe({
  next({ data, error }) {
    if (error) fail(error);
    const cached = client.cache.extract()[`Site:${data.siteChanged.site.id}`];
    if (cached.contacts.length !== data.siteChanged.site.contacts.length) fail(new Error('not in the cache'));
    take(data);
  },
  error: fail,
  complete: () => fail(new Error('completed')),
});
