// Monaco runs its language services in web workers, served as plain files.
globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    const name = label === 'json' || label === 'graphql' ? label : 'editor';
    return new Worker(`/explorer/${name}.worker.js`, { type: 'module', name: label });
  },
};
