// GraphiQL keeps its tabs, history and settings in local storage. The headers
// carry tokens, and history would save them even with shouldPersistHeaders off,
// so they are taken out of everything that is written.
const prefix = 'account-management-explorer:';
const withHeaders = ['graphiql:tabState', 'graphiql:queries', 'graphiql:favorites'];

function ownKeys() {
  return Object.keys(localStorage).filter(key => key.startsWith(prefix));
}

export const storage = {
  getItem: key => localStorage.getItem(prefix + key),
  setItem(key, value) {
    if (key === 'graphiql:headers') return;
    if (withHeaders.includes(key)) {
      value = JSON.stringify(JSON.parse(value), (name, part) => (name === 'headers' ? null : part));
    }
    localStorage.setItem(prefix + key, value);
  },
  removeItem: key => localStorage.removeItem(prefix + key),
  clear: () => ownKeys().forEach(key => localStorage.removeItem(key)),
  get length() {
    return ownKeys().length;
  },
};
