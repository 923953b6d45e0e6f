import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockName } from '../../../align/run/lock.ts';
import {
  saveTinyModel,
  timelessLog,
  trainedBytes,
  writeDemonstrations,
} from '../../../align/run/testing/tiny-run.ts';
import { isAlive } from '../../../language/checkpoint/processes.ts';
import { runHeed } from '../testing/run-heed.ts';
import { killAtStep, reachesStep, startHeed } from '../testing/start-heed.ts';

let folder: string;
const steps = 10;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-sft-command-'));
  await saveTinyModel(join(folder, 'base'));
  writeDemonstrations(folder, 20);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Ten updates of two rows. */
const words = (out: string, ...more: string[]) => [
  ...['sft', '--model', 'base', '--data', 'rows.jsonl', '--out', out, '--batch-size', '2', '--threads', '2'],
  ...['--json', ...more],
];
const heed = (out: string, ...more: string[]) => runHeed(words(out, ...more), folder);

const start = (out: string, ...more: string[]) => startHeed(words(out, ...more), folder);

function expectSameRun(found: string, expected: string): void {
  expect(trainedBytes(join(folder, found), steps)).toEqual(trainedBytes(join(folder, expected), steps));
  expect(timelessLog(join(folder, found))).toEqual(timelessLog(join(folder, expected)));
}

describe('heed sft', () => {
  it('prints its result as JSON, shows progress to people and keeps faulty rows by place', async () => {
    const file = join(folder, 'faulty.jsonl');
    writeDemonstrations(folder, 3, 'faulty.jsonl');
    appendFileSync(file, 'no json\n{"prompt":"a"}\n{"prompt_ids":[5],"completion_ids":[99999]}\n');
    const sentence = ['sft', '--model', 'base', '--data', 'faulty.jsonl', '--out', 'faulty', '--json'];
    const { code, stdout, stderr } = await runHeed(sentence, folder);
    expect(code).toBe(0);
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ steps: 1, skipped: 0, outcome: 'done', model: 'faulty/model' });
    expect(result.data).toMatchObject({ rows: 6, kept: 3, faults: 3 });
    expect(result.data.dropped).toEqual({ 'unknown-token-id': 1 });
    expect(Math.abs(result.loss - Math.log(290))).toBeLessThan(0.05);
    expect(stderr).toMatch(/warning: faulty\.jsonl:4: quarantined: not JSON/);
    const quarantine = readFileSync(join(folder, 'faulty/quarantine.jsonl'), 'utf8').trimEnd().split('\n');
    const places = quarantine
      .map((line) => JSON.parse(line))
      .map(({ file, line, offset }) => ({ file, line, offset }));
    const offset = readFileSync(file, 'utf8').indexOf('no json');
    expect(places).toEqual([
      { file: 'faulty.jsonl', line: 4, offset },
      { file: 'faulty.jsonl', line: 5, offset: offset + 8 },
      { file: 'faulty.jsonl', line: 6, offset: offset + 23 },
    ]);
  });

  describe('stopped and resumed', () => {
    // Steps at which the whole process group is killed; a kill may fall anywhere in the step that follows.
    const kills = [1, 2, 3].map((every) => ({ every, step: 1 + Math.floor(Math.random() * (steps - 2)) }));

    it.each(kills)(
      'killed with -9 after step $step, a checkpoint every $every, ends as an uninterrupted run',
      async ({ every, step }) => {
        const [whole, killed] = [`whole-${every}`, `killed-${every}`];
        const save = ['--save-every', String(every)];
        const complete = heed(whole, ...save);
        const child = start(killed, ...save);
        await killAtStep(child, join(folder, killed), step);
        const { code, stderr } = await heed(killed, ...save, '--resume');
        expect([code, stderr]).toEqual([0, expect.not.stringContaining('error')]);
        expect((await complete).code).toBe(0);
        expectSameRun(killed, whole);
        expect(readdirSync(join(folder, killed, 'checkpoints')).sort()).toEqual(
          readdirSync(join(folder, whole, 'checkpoints')).sort(),
        );
      },
    );

    it('by SIGINT saves, exits 130, and goes on from there', async () => {
      const child = start('interrupted', '--save-every', '3');
      await reachesStep(child, join(folder, 'interrupted'), 4);
      // To the group, as Ctrl-C in a terminal.
      process.kill(-child.pid!, 'SIGINT');
      expect(await child.closed).toBe(130);
      expect(child.error()).toMatch(/stopping after this step/);
      const { code, stdout, stderr } = await heed('interrupted', '--save-every', '3', '--resume');
      expect([code, JSON.parse(stdout)]).toMatchObject([0, { steps, outcome: 'done' }]);
      expect(stderr).toMatch(/resuming after step [4-9]/);
      expectSameRun('interrupted', 'whole-3');
    });

    it.skipIf(process.platform === 'win32')(
      'by a second SIGINT leaves no process, even one that waits for data that never come',
      async () => {
        execFileSync('mkfifo', [join(folder, 'silent.jsonl')]);
        const words = ['sft', '--model', 'base', '--data', 'silent.jsonl', '--out', 'waiting'];
        const child = startHeed(words, folder);
        const recipe = join(folder, 'waiting/recipe.yaml');
        await expect.poll(() => existsSync(recipe), { timeout: 30_000 }).toBe(true);
        const { pid } = JSON.parse(readFileSync(join(folder, 'waiting', lockName), 'utf8'));
        child.kill('SIGINT');
        await expect.poll(child.error, { timeout: 30_000 }).toMatch(/interrupt again to exit at once/);
        await sleep(700);
        child.kill('SIGINT');
        expect(await child.closed).toBe(130);
        await expect.poll(() => isAlive(pid)).toBe(false);
      },
    );

    it('after its end says that there is nothing to do', async () => {
      const before = readFileSync(join(folder, 'whole-1/events.jsonl'));
      const { code, stdout, stderr } = await heed('whole-1', '--save-every', '1', '--resume');
      expect([code, JSON.parse(stdout)]).toMatchObject([0, { steps, outcome: 'done' }]);
      expect(stderr).toMatch(/whole-1: finished already, after 10 updates; nothing to do/);
      expect(readFileSync(join(folder, 'whole-1/events.jsonl'))).toEqual(before);
    });

    it('is refused while another process writes to the folder', async () => {
      const child = start('shared', '--epochs', '1000', '--max-steps', '100000');
      await reachesStep(child, join(folder, 'shared'), 2);
      const second = await heed('shared', '--epochs', '1000', '--resume');
      process.kill(-child.pid!, 'SIGKILL');
      expect([second.code, second.stderr]).toEqual([
        1,
        expect.stringMatching(
          /^error: shared: expected a run folder that no other process writes to, got a run held by process \d+/,
        ),
      ]);
    });
  });
});
