// The direction of imports, read from the sources themselves: engine ← language ← align ← app, and inside a group
// only folders listed before. Files that lie directly in a group come before its folders.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const groups: Readonly<Record<string, readonly string[]>> = {
  engine: ['onnx', 'graph', 'runtime', 'optimizer'],
  language: ['text', 'model', 'checkpoint', 'generation'],
  align: ['data', 'objectives', 'scoring', 'run', 'monitor', 'rollouts', 'methods', 'worlds', 'evaluation'],
  app: ['stages', 'recipe', 'report', 'label', 'studio', 'serve', 'cli'],
};

const groupNames = Object.keys(groups);

interface Source {
  /** From the repository's root, such as `src/engine/graph/tensor.ts`. */
  path: string;
  text: string;
  imports: string[];
}

// `from '…'`, `import '…'` and `import('…')`, of types too; only relative ones lead to a file of ours.
const importPattern = /\b(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g;

function readSource(path: string): Source {
  const text = readFileSync(path, 'utf8');
  const imports = [...text.matchAll(importPattern)].map(([, target]) => join(dirname(path), target));
  return { path, text, imports };
}

const isTest = (path: string) => path.endsWith('.test.ts') || path.includes('/testing/');
/** A public edge shows what lies anywhere below it. */
const isEdge = (path: string) => path === 'src/index.ts' || /^src\/[^/]+\/index\.ts$/.test(path);

const everySource = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => readSource(join('src', name)));
const sources = everySource.filter(({ path }) => !isTest(path));

/** [group, folder], −1 for a file directly in the group. */
function place(path: string): [number, number] {
  const [, group, ...rest] = path.split('/');
  const folders = groups[group];
  if (!folders) throw new Error(`${path} lies in no group; the groups are ${groupNames.join(', ')}`);
  if (rest.length > 1 && !folders.includes(rest[0]))
    throw new Error(`${path}: ${group} has no folder ${rest[0]}`);
  return [groupNames.indexOf(group), rest.length > 1 ? folders.indexOf(rest[0]) : -1];
}

/** Tests may reach across their group's folders, for an oracle, but not up to another group. */
function isAllowed(from: string, to: string): boolean {
  const [[fromGroup, fromFolder], [toGroup, toFolder]] = [place(from), place(to)];
  if (fromGroup !== toGroup) return toGroup < fromGroup;
  return toFolder <= fromFolder || isEdge(from) || isTest(from);
}

function breaches(all: readonly Source[]): string[] {
  return all
    .filter(({ path }) => path.split('/').length > 2)
    .flatMap(({ path, imports }) =>
      imports.filter((to) => !isAllowed(path, to)).map((to) => `${path} → ${to}`),
    );
}

/** A chain of imports that returns to its first file, if there is one. */
function findCycle(all: readonly Source[]): string[] | undefined {
  const importsOf = new Map(all.map(({ path, imports }) => [path, imports]));
  const cleared = new Set<string>();
  const follow = (path: string, trail: string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (cleared.has(path)) return undefined;
    for (const next of importsOf.get(path) ?? []) {
      const cycle = follow(next, [...trail, path]);
      if (cycle) return cycle;
    }
    cleared.add(path);
    return undefined;
  };
  for (const { path } of all) {
    const cycle = follow(path, []);
    if (cycle) return cycle;
  }
  return undefined;
}

function linesWith(pattern: RegExp, all: readonly Source[]): string[] {
  return all.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1} ${line.trim()}`] : [])),
  );
}

/** The table as ARCHITECTURE.md prints it. */
function table(): string {
  const rows = Object.entries(groups).map(([group, folders]) => `| ${group} | ${folders.join(' ← ')} |`);
  return ['| group | folders, each importing only those before it |', '|---|---|', ...rows].join('\n');
}

describe('the sources', () => {
  it('import only what comes before them', () => {
    expect(sources.length).toBeGreaterThan(10);
    expect(breaches(everySource)).toEqual([]);
  });

  it('import nothing that exists only for tests', () => {
    expect(
      sources.flatMap(({ path, imports }) => imports.filter(isTest).map((to) => `${path} → ${to}`)),
    ).toEqual([]);
  });

  it('import in no circle', () => {
    expect(findCycle(sources)).toBeUndefined();
  });

  it('print only in app/cli', () => {
    const quiet = sources.filter(({ path }) => !path.startsWith('src/app/cli/'));
    expect(linesWith(/\bconsole\.\w+\(|\bprocess\.(stdout|stderr)\b/, quiet)).toEqual([]);
  });

  it('end the process only in app/cli/main.ts', () => {
    const others = sources.filter(({ path }) => path !== 'src/app/cli/main.ts');
    expect(linesWith(/\bprocess\.(exit|exitCode|abort|reallyExit)\b/, others)).toEqual([]);
  });

  it('cite no paper that docs/papers.md lacks', () => {
    const papers = readFileSync('docs/papers.md', 'utf8');
    const cited = new Set(sources.flatMap(({ text }) => text.match(/arXiv:\d{4}\.\d{5}/g) ?? []));
    expect(cited.size).toBeGreaterThan(20);
    expect([...cited].filter((paper) => !papers.includes(paper))).toEqual([]);
  });

  it.skipIf(!existsSync('ARCHITECTURE.md'))(
    'are laid out as ARCHITECTURE.md says (once it is written)',
    () => {
      expect(readFileSync('ARCHITECTURE.md', 'utf8')).toContain(table());
    },
  );
});

describe('the reader of imports', () => {
  const source = (path: string, ...imports: string[]): Source => ({ path, text: '', imports });

  it('sees a group that looks up and a folder that looks ahead', () => {
    const found = breaches([
      source('src/engine/onnx/model.ts', 'src/engine/errors.ts', 'src/engine/graph/build.ts'),
      source('src/engine/errors.ts', 'src/language/text/tokenizer.ts'),
      source('src/engine/onnx/model.test.ts', 'src/engine/runtime/reference.ts', 'src/app/cli/main.ts'),
    ]);
    expect(found).toEqual([
      'src/engine/onnx/model.ts → src/engine/graph/build.ts',
      'src/engine/errors.ts → src/language/text/tokenizer.ts',
      'src/engine/onnx/model.test.ts → src/app/cli/main.ts',
    ]);
  });

  it('sees a circle', () => {
    const circle = [source('a.ts', 'b.ts'), source('b.ts', 'c.ts'), source('c.ts', 'b.ts')];
    expect(findCycle(circle)).toEqual(['b.ts', 'c.ts', 'b.ts']);
  });

  it('finds every form of import', () => {
    const forms = [
      `import a from './a.ts';`,
      `import type { B } from "./b.ts";`,
      `import {\n  c,\n} from '../c.ts';`,
      `import './d.ts';`,
      `const e = await import('./e.ts');`,
      `export { f } from './f.ts';`,
      `export * from './g.ts';`,
      `type H = import('./h.ts').H;`,
      `import fs from 'node:fs';`,
    ];
    expect(forms.flatMap((form) => [...form.matchAll(importPattern)].map(([, target]) => target))).toEqual([
      ...['./a.ts', './b.ts', '../c.ts', './d.ts', './e.ts', './f.ts', './g.ts', './h.ts'],
    ]);
  });
});
