import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FormatError, UserError } from '../../engine/errors.ts';
import { commitFolder, discardFolder, hashFolder, resolveFolder, verifyFolder } from './commit.ts';
import { diskFiles } from './files.ts';
import { type FaultMode, failingFiles } from './testing/failing-files.ts';

let root: string;
let target: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'heed-commit-'));
  target = join(root, 'runs', 'model');
});
afterEach(() => rmSync(root, { recursive: true }));

const bytes = (text: string) => [new TextEncoder().encode(text)];

/** Two files that must always be seen together, one in a folder inside. */
async function commitPair(text: string, files = diskFiles): Promise<void> {
  await commitFolder(
    target,
    async (staging) => {
      await files.write(join(staging, 'a'), bytes(text));
      await files.makeFolder(join(staging, 'inner'));
      await files.write(join(staging, 'inner', 'b'), bytes(text));
    },
    files,
  );
}

/** What a reader finds: nothing, or a whole pair. */
async function readPair(): Promise<string | undefined> {
  const folder = await resolveFolder(target).catch(() => undefined);
  if (!folder) return undefined;
  expect(await verifyFolder(folder)).toBe('complete');
  const text = readFileSync(join(folder, 'a'), 'utf8');
  expect(readFileSync(join(folder, 'inner', 'b'), 'utf8')).toBe(text);
  return text;
}

async function failAtEveryOperation(mode: FaultMode, before: string | undefined): Promise<number> {
  for (let n = 1; ; n++) {
    rmSync(join(root, 'runs'), { recursive: true, force: true });
    if (before) await commitPair(before);
    const { files, hasFailed } = failingFiles(n, mode);
    const outcome = await commitPair('new', files).then(
      () => 'saved',
      () => 'failed',
    );
    const found = await readPair();
    if (!hasFailed()) {
      expect([outcome, found]).toEqual(['saved', 'new']);
      return n - 1;
    }
    expect([before, 'new']).toContain(found);
    if (outcome === 'saved') expect(found).toBe('new');
    if (mode === 'once' && outcome === 'failed' && found !== 'new') expect(leftovers()).toEqual([]);
    await commitPair('later');
    expect(await readPair()).toBe('later');
    if (mode === 'once') expect(leftovers()).toEqual([]);
  }
}

function leftovers(): string[] {
  return existsSync(join(root, 'runs'))
    ? readdirSync(join(root, 'runs')).filter((name) => name !== 'model')
    : [];
}

describe('a fault at the n-th change of the disk, for every n', () => {
  test.each([
    ['once', undefined],
    ['once', 'old'],
    ['crash', undefined],
    ['crash', 'old'],
  ] as const)('%s, from %s: leaves the old folder or the new one', async (mode, before) => {
    expect(await failAtEveryOperation(mode, before)).toBe(13);
  });

  test('says that the disk is full, and of which folder', async () => {
    await commitPair('old');
    const { files } = failingFiles(2, 'once');
    const error = await commitPair('new', files).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toMatch(/runs\/model: expected to write it, got .*disk is full/);
  });
});

test('survives kill -9 at any moment', { timeout: 60_000 }, async () => {
  const script = compileWriter();
  const found = new Set<string>();
  for (let round = 0; round < 6; round++) {
    const child = spawn(process.execPath, [script, target], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((ready) => child.stdout.once('data', ready));
    await new Promise((later) => setTimeout(later, 5 + 17 * round));
    child.kill('SIGKILL');
    await new Promise((ended) => child.once('close', ended));
    found.add(String(await readPair()));
  }
  await commitPair('after');
  expect(await readPair()).toBe('after');
  expect(leftovers()).toEqual([]);
  expect(found).not.toContain('undefined');
});

test.skipIf(process.platform !== 'linux')(
  'what a killed process left is cleared while nobody has buried it',
  async () => {
    // The first child has ended, and the second never asks how.
    const shell = spawn('sh', ['-c', 'true & echo $!; exec sleep 60']);
    const pid = await new Promise<number>((tell) => shell.stdout.once('data', (line) => tell(Number(line))));
    await commitPair('old');
    await diskFiles.makeFolder(join(root, 'runs', `.model.staging-${hostname()}-${pid}-1`));
    await diskFiles.makeFolder(join(root, 'runs', `.model.staging-${hostname()}-${shell.pid}-1`));
    await commitPair('new');
    expect(leftovers()).toEqual([`.model.staging-${hostname()}-${shell.pid}-1`]);
    shell.kill();
  },
);

/** A program that commits 0, 1, 2 … for ever, as plain JavaScript, since Node 20 runs no TypeScript. */
function compileWriter(): string {
  const out = join(root, 'js');
  const sources = ['src/language/checkpoint/commit.ts'];
  const options = ['--outDir', out, '--rootDir', 'src', '--ignoreConfig', '--types', 'node'];
  const language = ['--module', 'NodeNext', '--target', 'ES2023', '--rewriteRelativeImportExtensions'];
  execFileSync(process.execPath, [
    resolve('node_modules/typescript/bin/tsc'),
    ...sources,
    ...options,
    ...language,
  ]);
  const script = join(out, 'language/checkpoint/writer.js');
  writeFileSync(join(out, 'package.json'), '{"type":"module"}');
  writeFileSync(
    script,
    `import { commitFolder } from './commit.js';
     import { mkdir, writeFile } from 'node:fs/promises';
     for (let n = 0; ; n++) {
       await commitFolder(process.argv[2], async (staging) => {
         await writeFile(staging + '/a', String(n));
         await mkdir(staging + '/inner');
         await writeFile(staging + '/inner/b', String(n));
       });
       if (n === 0) console.log('ready');
     }`,
  );
  return script;
}

describe('what is replaced', () => {
  test('an empty folder is', async () => {
    await diskFiles.makeFolder(join(root, 'runs'));
    await diskFiles.makeFolder(target);
    await commitPair('new');
    expect(await readPair()).toBe('new');
  });

  test('a folder with a file that heed did not write is not', async () => {
    await commitPair('old');
    writeFileSync(join(target, 'notes.txt'), 'mine');
    await expect(commitPair('new')).rejects.toThrow('a file that heed did not write: notes.txt');
    expect(readFileSync(join(target, 'a'), 'utf8')).toBe('old');
  });

  test('a folder without a manifest is not, nor is a file', async () => {
    await commitPair('old');
    rmSync(join(target, 'manifest.json'));
    await expect(commitPair('new')).rejects.toThrow('one that heed wrote');
    rmSync(target, { recursive: true });
    writeFileSync(target, 'a file');
    await expect(commitPair('new')).rejects.toThrow('expected a folder, got a file');
  });
});

describe('verifying', () => {
  const fault = () => verifyFolder(target).catch((error: unknown) => error as FormatError);

  test('names a file with one changed bit, a shorter one, and a missing one', async () => {
    await commitPair('text');
    writeFileSync(join(target, 'inner', 'b'), 'tex\x75');
    expect((await fault()).toString()).toMatch(/inner\/b: expected the SHA-256/);
    writeFileSync(join(target, 'inner', 'b'), 'tex');
    expect((await fault()).toString()).toMatch(/inner\/b: expected 4 bytes, as the manifest says, got 3/);
    rmSync(join(target, 'inner', 'b'));
    expect((await fault()).toString()).toMatch(/inner\/b: .* got no file/);
  });

  test.each([
    ['empty', '', FormatError],
    ['cut off', '{"version":1,"files":[{"path":"a","by', FormatError],
    ['without files', '{"version":1}', FormatError],
    ['reaching outside', '{"version":1,"files":[{"path":"../a","bytes":0,"sha256":""}]}', FormatError],
    ['of a newer heed', '{"version":2,"files":[]}', UserError],
  ])('refuses a manifest that is %s', async (_, text, kind) => {
    await commitPair('text');
    writeFileSync(join(target, 'manifest.json'), text);
    expect((await fault()).constructor).toBe(kind);
  });

  test('calls a folder without a manifest unmanaged, and hashes it as if it had one', async () => {
    await commitPair('text');
    const hash = await hashFolder(target);
    rmSync(join(target, 'manifest.json'));
    expect(await verifyFolder(target)).toBe('unmanaged');
    expect(await hashFolder(target)).toBe(hash);
    writeFileSync(join(target, 'a'), 'other');
    expect(await hashFolder(target)).not.toBe(hash);
  });
});

test('a discarded folder is whole or gone under its name, whichever operation fails', async () => {
  for (let n = 1; ; n++) {
    await commitPair('text');
    const { files, hasFailed } = failingFiles(n, 'crash');
    await discardFolder(target, files).catch(() => {});
    expect([undefined, 'text']).toContain(await readPair());
    if (!hasFailed()) break;
  }
  expect(leftovers()).toEqual([]);
});
