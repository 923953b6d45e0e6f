import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { UserError } from '../../engine/errors.ts';
import { text } from '../stages/options.ts';
import { defineStage, jobOf } from '../stages/stage.ts';
import { recipeOptions, runRecipe } from './run-recipe.ts';
import { Terminal } from './terminal.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-run-recipe-'));
  const recipe = 'name: small\nseeds: [1, 2, 3]\nstages:\n  hello: { command: say }\nreport: kata\n';
  writeFileSync(join(folder, 'small.yaml'), recipe);
});
afterEach(() => rmSync(folder, { recursive: true }));

const stream = { isTTY: false, columns: 80, write: () => true };
const terminal = new Terminal({ stdout: stream, stderr: stream, environment: {}, json: true, now: () => 0 });

const say = defineStage({
  name: 'say',
  description: 'does nothing',
  schema: z.object({ out: text('output', 'folder'), seed: z.int().describe('seed') }),
  job: jobOf(new URL('file:///none.js'), 'none'),
  summary: () => [],
});
/** A stage that the given seeds cannot finish. */
const performing = (failing: readonly number[]) => ({
  stages: [say],
  async perform(_: unknown, { out, seed }: Record<string, unknown>) {
    mkdirSync(out as string, { recursive: true });
    if (failing.includes(seed as number))
      throw new UserError({ where: 'say', expected: 'a voice', found: 'none', advice: 'a rest' });
    return {};
  },
});

const run = (failing: readonly number[], more: object = {}) => {
  const request = { recipe: join(folder, 'small.yaml'), out: join(folder, 'out'), ...more };
  const rest = { fromScratch: false, jobs: 1, resume: false };
  return runRecipe({ ...rest, ...request }, terminal, new AbortController().signal, performing(failing));
};
const statuses = () => {
  const { seeds } = JSON.parse(readFileSync(join(folder, 'out', 'report.json'), 'utf8'));
  return seeds.map(({ seed, status }: { seed: number; status: string }) => `${seed} ${status}`);
};

describe('a recipe of several seeds', () => {
  it('names the report over them beside the report of each', async () => {
    const { report, seeds } = (await run([])) as { report: Record<string, string>; seeds: object[] };
    expect(report.reportJson).toBe(join(folder, 'out', 'report.json'));
    expect(seeds).toHaveLength(3);
    expect(existsSync(join(folder, 'out', 'seed-3', 'report.html'))).toBe(true);
    expect(statuses()).toEqual(['1 done', '2 done', '3 done']);
  });

  it('goes on after a seed that fails, names it in the report, and ends with its mistake', async () => {
    await expect(run([2])).rejects.toThrow(/^seed 2: stage hello \(.*\): say: expected a voice, got none/);
    expect(statuses()).toEqual(['1 done', '2 failed', '3 done']);
    await run([]);
    expect(statuses()).toEqual(['1 done', '2 done', '3 done']);
  });

  it('may name each but once', () => {
    const seeds = (text: string) => recipeOptions.seeds.safeParse(text).error?.issues[0].message;
    expect([seeds('1,2'), seeds('1,01')]).toEqual([undefined, 'each seed once']);
  });

  it('has no report over them where one has not come to its end, or all failed', async () => {
    await expect(run([1, 2, 3])).rejects.toThrow(/^seed 1: /);
    expect(existsSync(join(folder, 'out', 'report.json'))).toBe(false);
    expect(await run([], { seeds: '4' })).not.toHaveProperty('seeds');
  });
});
