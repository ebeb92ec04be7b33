import './workers.js';
import 'monaco-graphql/esm/monaco-editor.js';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './style.css';

import { GraphiQL } from 'graphiql';
import { createPortal } from 'react-dom';
import { createRoot } from 'react-dom/client';
import { fetcher, getJson } from './api.js';
import { Bar } from './Bar.jsx';
import { loadPeople, recallPerson } from './people.js';
import { storage } from './storage.js';

const [people, examples] = await Promise.all([
  loadPeople().catch(() => null),
  getJson('/explorer/examples.json').catch(() => null),
]);
recallPerson();

// The first example opens the first visit; later ones find the tabs as left.
const isFirstVisit = !storage.getItem('graphiql:tabState');
const first = (isFirstVisit && examples?.[0]) || {};

createRoot(document.getElementById('explorer')).render(
  <GraphiQL
    fetcher={fetcher}
    storage={storage}
    shouldPersistHeaders={false}
    defaultQuery=""
    initialQuery={first.query}
    initialVariables={first.variables}
    defaultEditorToolsVisibility="headers"
  >
    <GraphiQL.Logo>{null}</GraphiQL.Logo>
    {createPortal(<Bar people={people} examples={examples} />, document.getElementById('bar'))}
  </GraphiQL>,
);
