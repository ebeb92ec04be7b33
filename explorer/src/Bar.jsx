import {
  useGraphiQL,
  useGraphiQLActions,
  useHeadersEditorState,
  useOperationsEditorState,
  useVariablesEditorState,
} from '@graphiql/react';
import { useEffect } from 'react';
import {
  ANONYMOUS,
  choosePerson,
  chosenPerson,
  headersFor,
  loadPeople,
  personIn,
  updatedHeaders,
} from './people.js';

const refreshEvery = 5 * 60 * 1000;

export function Bar({ people, examples }) {
  return (
    <>
      {people ? (
        <PersonSelect people={people} />
      ) : (
        <p role="alert">The list of people could not be loaded. Reload the page to try again.</p>
      )}
      {examples ? (
        <ExampleSelect examples={examples} />
      ) : (
        <p role="alert">The examples could not be loaded.</p>
      )}
    </>
  );
}

// Shows whom the headers of the current tab stand for, and writes them.
function PersonSelect({ people }) {
  const editor = useGraphiQL(state => state.headerEditor);
  const [headers] = useHeadersEditorState();

  useEffect(() => {
    if (!editor) return;
    const update = () => {
      const updated = updatedHeaders(editor.getValue());
      if (updated !== editor.getValue()) editor.setValue(updated);
    };
    update();
    // isFlush: the text was replaced by GraphiQL (new tab, other tab, history)
    // rather than typed. GraphiQL finishes its own work before ours.
    const listener = editor.onDidChangeModelContent(event => {
      if (event.isFlush) queueMicrotask(update);
    });
    const timer = setInterval(() => loadPeople().then(update, () => {}), refreshEvery);
    return () => {
      listener.dispose();
      clearInterval(timer);
    };
  }, [editor]);

  function choose(event) {
    const name = event.target.value;
    choosePerson(name);
    editor?.setValue(headersFor(name));
    // Tokens expire: have the latest one.
    loadPeople().then(() => editor?.setValue(updatedHeaders(editor.getValue())), () => {});
  }

  const person = editor ? personIn(headers) : chosenPerson();
  return (
    <div>
      <label htmlFor="person">Person</label>
      <select id="person" value={person ?? 'by hand'} onChange={choose}>
        {person === undefined && (
          <option value="by hand" disabled>
            Headers written by hand
          </option>
        )}
        <option value={ANONYMOUS}>Anonymous</option>
        {people.map(({ name, description }) => (
          <option key={name} value={name}>
            {name}: {description}
          </option>
        ))}
      </select>
    </div>
  );
}

// Shows which example the current tab holds, and opens one: in the current tab
// if that is blank or an unchanged example, in a new tab otherwise.
function ExampleSelect({ examples }) {
  const { addTab } = useGraphiQLActions();
  const queryEditor = useGraphiQL(state => state.queryEditor);
  const variableEditor = useGraphiQL(state => state.variableEditor);
  const responseEditor = useGraphiQL(state => state.responseEditor);
  const [query] = useOperationsEditorState();
  const [variables] = useVariablesEditorState();

  const text = (query, variables) => `${query.trim()}\n${variables?.trim() || '{}'}`;
  const current = examples.findIndex(
    example => text(example.query, example.variables) === text(query, variables),
  );

  function open(event) {
    const example = examples[Number(event.target.value)];
    if (current < 0 && query.trim() !== '') addTab();
    queryEditor?.setValue(example.query);
    variableEditor?.setValue(example.variables ?? '{}');
    responseEditor?.setValue('');
  }

  return (
    <div>
      <label htmlFor="example">Example</label>
      <select id="example" value={current} onChange={open}>
        {current < 0 && (
          <option value={-1} disabled>
            Choose an example
          </option>
        )}
        {examples.map(({ name }, index) => (
          <option key={name} value={index}>
            {name}
          </option>
        ))}
      </select>
    </div>
  );
}
