// Builds the development explorer into ../app/explorer.
// examples.json in that folder is written by hand and left alone.
import { build } from 'esbuild';
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, '..', 'app', 'explorer');
const handWritten = new Set(['examples.json']);

// Packages published without a licence file, and the package of the same
// project and authors whose licence file covers them.
const licenceHome = {
  '@graphiql/plugin-doc-explorer': '@graphiql/react',
  '@graphiql/plugin-history': '@graphiql/react',
  'react-compiler-runtime': 'react',
  'react-remove-scroll-bar': 'react-remove-scroll',
};

await mkdir(target, { recursive: true });
for (const name of await readdir(target)) {
  if (!handWritten.has(name)) await rm(join(target, name), { recursive: true });
}

const result = await build({
  absWorkingDir: here,
  entryPoints: {
    'explorer': 'src/main.jsx',
    'editor.worker': 'monaco-editor/esm/vs/editor/editor.worker.js',
    'json.worker': 'monaco-editor/esm/vs/language/json/json.worker.js',
    'graphql.worker': 'monaco-graphql/esm/graphql.worker.js',
  },
  outdir: target,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022'],
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
  loader: { '.ttf': 'file' },
  assetNames: '[name]',
  legalComments: 'external',
  metafile: true,
  logLevel: 'warning',
});

await copyFile(join(here, 'src', 'index.html'), join(target, 'index.html'));
await writeFile(join(target, 'LICENSES.txt'), await licences(result.metafile));

async function licences(metafile) {
  const used = new Set();
  for (const output of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path);
      if (found && bytesInOutput > 0) used.add(found[1]);
    }
  }
  const packages = await Promise.all(
    [...used].map(async folder => {
      const { name, version, license } = JSON.parse(
        await readFile(join(here, folder, 'package.json'), 'utf8'),
      );
      const home = licenceHome[name]
        ? join(here, 'node_modules', licenceHome[name])
        : join(here, folder);
      const files = (await readdir(home))
        .filter(file => /^(licen[cs]e|notice|copying|thirdpartynotices)/i.test(file))
        .sort();
      if (files.length === 0) throw new Error(`No licence text found for ${name}`);
      const texts = await Promise.all(files.map(file => readFile(join(home, file), 'utf8')));
      return { title: `${name} ${version} (${license})`, text: texts.join('\n\n') };
    }),
  );
  packages.sort((a, b) => (a.title < b.title ? -1 : 1));

  // The licence comments that the sources themselves carry.
  const comments = new Set();
  for (const name of (await readdir(target)).filter(name => name.endsWith('.LEGAL.txt')).sort()) {
    const text = await readFile(join(target, name), 'utf8');
    for (const comment of text.match(/\/\*[^]*?\*\/|^\/\/.*$/gm) ?? []) {
      comments.add(comment.replace(/^[ \t]+(?=\*)/gm, ' ').trim());
    }
    await rm(join(target, name));
  }

  return [
    'The files in this folder contain the software listed below, in minified form.',
    'codicon.ttf is the icon font "Codicons" by Microsoft Corporation, part of\n' +
      'monaco-editor; the icons are licensed under the Creative Commons Attribution 4.0\n' +
      'International Public License, https://creativecommons.org/licenses/by/4.0/legalcode',
    'DOMPurify, part of monaco-editor, is used under the Apache License 2.0.\n' +
      'The texts of both licences are among the notices of monaco-editor below.',
    ...packages.map(({ title, text }) => `${'='.repeat(80)}\n${title}\n${'='.repeat(80)}\n\n${text.trim()}`),
    `${'='.repeat(80)}\nLicence comments found in the sources\n${'='.repeat(80)}`,
    ...[...comments].sort(),
  ]
    .join('\n\n')
    .replace(/\r\n?/g, '\n')
    .replace(/[ \t]+$/gm, '') + '\n';
}
