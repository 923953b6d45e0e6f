// The documents, held to what is there: README's commands and code are run as written, on a copy; so is the code of the
// guides. A command of a guide is run when its output is shown, and else has its options checked.

import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commands } from './app/cli/commands.ts';
import { optionSpecs } from './app/stages/options.ts';

interface Block {
  language: string;
  text: string;
  /** What the document shows as the block's output. */
  shown?: string;
}

interface Ran {
  command: string;
  code: number;
  stdout: string;
  stderr: string;
}

const guides = readdirSync('docs')
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name));
const methodPages = readdirSync('docs/methods').map((name) => join('docs/methods', name));
const documents = [
  'README.md',
  'README.ko.md',
  'ARCHITECTURE.md',
  'GLOSSARY.md',
  'LOG.md',
  ...guides,
  ...methodPages,
];
const read = (path: string) => readFileSync(path, 'utf8');

function blocksOf(path: string): Block[] {
  const found = [...read(path).matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text]) => ({
    language,
    text,
  }));
  return found
    .map((block, i) => ({
      ...block,
      shown: found[i + 1]?.language === 'text' ? found[i + 1].text : undefined,
    }))
    .filter(({ language }) => language !== 'text');
}

/** Commands of a block; those of npm itself are not run again inside the tests. */
const commandsOf = ({ text }: Block) =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('npm '));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-readme-'));
  for (const name of ['package.json', 'bin', 'dist', 'examples', 'recipes', 'scripts'])
    cpSync(name, join(folder, name), { recursive: true });
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
});

afterAll(() => rmSync(folder, { recursive: true }));

function run(command: string): Promise<Ran> {
  const line = command.replace(/^npx heed /, 'node bin/heed.js ');
  const { FORCE_COLOR: _, ...environment } = process.env;
  const options = { cwd: folder, env: { ...environment, NO_COLOR: '1' } };
  return new Promise((done) => {
    execFile('sh', ['-c', line], options, (error, stdout, stderr) => {
      done({ command, code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

function runScript(code: string): Promise<Ran> {
  writeFileSync(join(folder, 'block.js'), code);
  return run('node block.js');
}

async function runBlock(block: Block): Promise<Ran[]> {
  if (block.language === 'js') return [await runScript(block.text)];
  const ran: Ran[] = [];
  for (const command of commandsOf(block)) ran.push(await run(command));
  return ran;
}

const failures = (ran: readonly Ran[]) => ran.filter(({ code }) => code !== 0);
/** Numbers may differ by rounding from one processor to another. */
const withoutNumbers = (text: string) => text.replaceAll(/\d[\d.]*/g, '0');

describe('the README', () => {
  const blocks = blocksOf('README.md');
  const ran = new Map<Block, Ran[]>();
  const all = () => [...ran.values()].flat();
  const outputOf = (start: string) =>
    all()
      .filter(({ command }) => command.startsWith(start))
      .map(({ stdout }) => stdout);

  beforeAll(async () => {
    for (const block of blocks) ran.set(block, await runBlock(block));
  }, 180_000);

  it('has commands and code that run, in its order', () => {
    expect(all().length).toBeGreaterThan(8);
    expect(failures(all())).toEqual([]);
  });

  it('shows what they print, but for numbers and for the text that a base model makes up', () => {
    const isMadeUp = ({ text }: Block) => text.includes('generate --model runs/base');
    for (const block of blocks.filter((block) => block.shown !== undefined && !isMadeUp(block))) {
      const printed = ran.get(block)!.map(({ stdout }) => stdout);
      expect(withoutNumbers(printed.join(''))).toBe(withoutNumbers(block.shown!));
    }
  });

  it('is right that the base model goes on asking where the fine-tuned one answers', () => {
    const [continuation] = outputOf('npx heed generate --model runs/base');
    expect(continuation).toContain('?\n');
    expect(continuation).not.toContain('sheep gives us wool');
    expect(outputOf('npx heed generate --model runs/sft')[0]).toBe('A sheep gives us wool.\n');
  });

  it('is right that fine-tuning makes held-out answers likelier', () => {
    const [base, tuned] = outputOf('npx heed score').map((text) =>
      Number(/perplexity +([\d.]+)/.exec(text)![1]),
    );
    expect(tuned).toBeLessThan(base / 5);
  });

  it('draws a picture of both runs', () => {
    const picture = read(join(folder, 'runs/loss-curve.svg'));
    expect([...picture.matchAll(/<path class="curve c\d" d="M\d+[^"]*L/g)]).toHaveLength(2);
    expect(picture).toContain('after 290 updates');
  });

  it('has the same blocks in Korean', () => {
    expect(blocksOf('README.ko.md')).toEqual(blocks);
  });

  it('names the commands that there are', () => {
    for (const { name } of commands) expect(read('README.md')).toContain(`\`heed ${name}\``);
  });

  it('names scripts of package.json', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    expect(read('README.md')).toContain('npm ci && npm run build\nnpm test\n');
    for (const script of ['build', 'test', 'check']) expect(scripts).toHaveProperty(script);
  });

  describe.each(guides)('leads to %s, where', (guide) => {
    it('code runs, and commands take their options', async () => {
      const outcomes: Ran[] = [];
      for (const block of blocksOf(guide)) {
        const isRun = block.language === 'js' || block.shown !== undefined;
        if (isRun) outcomes.push(...(await runBlock(block)));
        else for (const command of commandsOf(block)) outcomes.push(await run(`${command} --dry-run`));
      }
      expect(failures(outcomes)).toEqual([]);
    });

    it('output is as shown', async () => {
      for (const block of blocksOf(guide).filter(({ shown }) => shown !== undefined)) {
        const printed = (await runBlock(block)).map(({ stdout }) => stdout).join('');
        expect(withoutNumbers(printed)).toBe(withoutNumbers(block.shown!));
      }
    });
  });
});

describe.each(documents)('%s', (path) => {
  it('leads only to files that exist', () => {
    const links = [...read(path).matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, link]) =>
      join(dirname(path), link),
    );
    const files = [...read(path).matchAll(/`((?:src|bin|scripts|examples|docs)\/[\w./-]+\.\w+)/g)].map(
      ([, f]) => f,
    );
    expect([...links, ...files].filter((file) => !existsSync(file))).toEqual([]);
  });

  it('names only options that exist', () => {
    const known = new Set(
      commands.flatMap(({ options }) => optionSpecs(options).map(({ word }) => `--${word}`)),
    );
    for (const flag of ['--config', '--json', '--dry-run', '--help']) known.add(flag);
    const named = [...read(path).matchAll(/(?<![\w-])--[a-z][\w-]*/g)].map(([flag]) => flag);
    expect(named.filter((flag) => !known.has(flag))).toEqual([]);
  });
});

it.each(['docs/papers.md', ...methodPages])('%s names functions that stand where it says', (page) => {
  const places = [...read(page).matchAll(/`(src\/[\w/.-]+\.ts):(\w+)`/g)];
  expect(places.length).toBeGreaterThan(3);
  const isDefined = (file: string, name: string) =>
    existsSync(file) &&
    new RegExp(`^(export )?(async )?(function|const|class|interface|type) ${name}\\b`, 'm').test(read(file));
  expect(places.filter(([, file, name]) => !isDefined(file, name)).map(([place]) => place)).toEqual([]);
});
