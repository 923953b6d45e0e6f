// node scripts/compare-reports.js OLD NEW: whether two report.json hold the same figures, costs aside. OLD may be of before
// report-keys.json's renamings: `keys` anywhere, `paths` from the root, and what was `added` since is passed over.

import { readFileSync } from 'node:fs';

const { keys, paths, added } = readJson(new URL('report-keys.json', import.meta.url));

const [oldFile, newFile] = process.argv.slice(2);
if (!newFile) {
  process.stderr.write('node scripts/compare-reports.js OLD NEW\n');
  process.exit(2);
}

const before = new Map([...leaves(readJson(oldFile))].map(([path, value]) => [renamed(path), value]));
const after = new Map([...leaves(readJson(newFile))].map(([path, value]) => [path.join('.'), value]));
const all = [...new Set([...before.keys(), ...after.keys()])];
const differing = all.filter((path) => before.get(path) !== after.get(path) && !isAddition(path));
for (const path of differing) process.stdout.write(`${path}: ${before.get(path)} -> ${after.get(path)}\n`);
process.stdout.write(`${all.length - differing.length} of ${all.length} figures agree or are new\n`);
process.exit(differing.length > 0 ? 1 : 0);

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** Every number, text and empty list of a report, by its path. */
function* leaves(value, path = []) {
  if (path[0] === 'costs') return;
  const isRecord = value !== null && typeof value === 'object';
  if (!isRecord) yield [path, value];
  else if (Array.isArray(value) && value.length === 0) yield [path, '[]'];
  else for (const [key, item] of Object.entries(value)) yield* leaves(item, [...path, key]);
}

function renamed(path) {
  const [first, ...rest] = path.map((key) => keys[key] ?? key);
  return [paths[first] ?? first, ...rest].join('.');
}

function isAddition(path) {
  if (before.has(path)) return false;
  const own = path.split('.');
  return added.some((pattern) => pattern.split('.').every((key, i) => key === '*' || key === own[i]));
}
