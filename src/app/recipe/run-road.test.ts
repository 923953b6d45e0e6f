// biome-ignore-all lint/suspicious/noTemplateCurlyInString: recipes refer to stages by ${name}
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commitEvaluation, finishedEvaluation } from '../../align/evaluation/evaluation-folder.ts';
import type { EvaluateOptions } from '../../align/evaluation/evaluation-options.ts';
import { FolderLock } from '../../align/run/lock.ts';
import { UserError } from '../../engine/errors.ts';
import { evaluate } from '../cli/commands/eval.ts';
import { chooseStages } from './choose-stages.ts';
import { forecastRoad } from './forecast.ts';
import { runRoad } from './run-road.ts';
import { SmallRoad, stageCommand, twoStages } from './testing/small-road.ts';

let road: SmallRoad;
beforeEach(() => {
  road = new SmallRoad();
});
afterEach(() => road.remove());

const roadFile = () => JSON.parse(readFileSync(road.path('out/road.json'), 'utf8'));
const statuses = () =>
  roadFile().stages.map(({ name, status }: Record<string, string>) => `${name} ${status}`);
const folders = () => readdirSync(road.path('out')).filter((name) => name.includes('-'));
const folderOf = async (name: string, text = twoStages) =>
  (await road.plan(text)).stages.find((stage) => stage.name === name)!.folder;
/** What dies after `name` has written its files leaves no record. */
const dyingAfter = (name: string) => (finished: string) => {
  if (finished === name) throw new Error('killed');
};

describe('a road', () => {
  it('gives each stage the files of the stages that it reads', async () => {
    const { stages, isComplete } = await road.run(twoStages);
    expect(stages.map(({ result }) => result)).toEqual([
      { content: 'hello 3' },
      { content: 'hello 3hello 3' },
    ]);
    expect(isComplete).toBe(true);
    expect(readFileSync(join(await folderOf('twice'), 'text.txt'), 'utf8')).toBe('hello 3hello 3');
  });

  it('computes nothing twice, and still knows what came out', async () => {
    const first = await road.run(twoStages);
    const second = await road.run(twoStages);
    expect(road.computed).toEqual(['hello', 'twice']);
    expect(second.stages.map(({ status }) => status)).toEqual(['unchanged', 'unchanged']);
    expect(second.stages.map(({ result, seconds }) => [result, seconds])).toEqual(
      first.stages.map(({ result, seconds }) => [result, seconds]),
    );
  });

  it('computes what changed and what reads it in new folders, and deletes nothing', async () => {
    const text = `${twoStages}  other: { command: say, text: bye }\n`;
    await road.run(text);
    const before = folders();
    await road.run(text.replace('hello }', 'hi }'));
    expect(road.computed).toEqual(['hello', 'twice', 'other', 'hello', 'twice']);
    expect(folders()).toEqual(expect.arrayContaining(before));
    expect(folders()).toHaveLength(5);
    await road.run(text);
    expect(road.computed).toHaveLength(5);
  });

  it('says in road.json what each stage was asked and what it took', async () => {
    await road.run(twoStages);
    const { recipe, seed, stages } = roadFile();
    expect([recipe, seed]).toEqual(['road', 3]);
    const { key, folder, seconds, peak_memory_bytes, ...rest } = stages[1];
    expect(folder).toBe(`twice-${key.slice(0, 8)}`);
    expect(rest).toEqual({
      name: 'twice',
      command: 'join',
      options: { data: ['${hello}/text.txt'], times: 2, ending: 'none' },
      status: 'done',
      result: { content: 'hello 3hello 3' },
    });
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThan(10);
    // This process itself: more than a bare Node, less than this machine.
    expect(peak_memory_bytes).toBeGreaterThan(30e6);
    expect(peak_memory_bytes).toBeLessThan(4e9);
  });

  it('resumes what was begun where the command can, and begins it anew where not', async () => {
    road.afterFiles = dyingAfter('hello');
    await expect(road.run(twoStages)).rejects.toThrow('killed');
    expect(statuses()).toEqual(['hello failed', 'twice pending']);
    road.afterFiles = dyingAfter('twice');
    await expect(road.run(twoStages)).rejects.toThrow('killed');
    road.afterFiles = () => {};
    await road.run(twoStages);
    expect(road.computed).toEqual(['hello', 'hello', 'twice', 'twice+']);
    expect(statuses()).toEqual(['hello unchanged', 'twice done']);
  });

  it("resumes in a road that was moved, with today's paths in the stage's own recipe", async () => {
    road.afterFiles = dyingAfter('twice');
    await expect(road.run(twoStages)).rejects.toThrow('killed');
    const [from, to] = [await folderOf('hello'), road.path('moved')];
    const written = `command: join\ndata:\n  - ${from}/text.txt\nextra: { folder: ${from}/model, weight: 2 }\n`;
    writeFileSync(join(await folderOf('twice'), 'recipe.yaml'), written);
    renameSync(road.path('out'), to);
    road.afterFiles = () => {};
    await road.run(twoStages, { out: 'moved' });
    expect(road.computed.at(-1)).toBe('twice+');
    const folder = (await road.plan(twoStages, { out: 'moved' })).stages[1].folder;
    expect(readFileSync(join(folder, 'recipe.yaml'), 'utf8')).toContain(
      `- ${from.replace('/out/', '/moved/')}/text`,
    );
  });

  it('finds an evaluation that was whole when it was killed, though the road was moved since', async () => {
    road.commands = [...road.commands, stageCommand(evaluate)];
    road.put('rows.jsonl', '{}');
    const text = `${twoStages}  eval: { command: eval, model: '\${hello}', data: [rows.jsonl] }\n`;
    await road.run(text, { selected: ['hello', 'twice'] });
    const summary = { model: 'hello', n: 0, metrics: {}, tokens_generated: 0, faults: 0 };
    const { options } = (await road.plan(text)).stages[2];
    await commitEvaluation(options as unknown as EvaluateOptions, {}, { answers: [], summary });
    renameSync(road.path('out'), road.path('moved'));
    const result = await runRoad(await road.plan(text, { out: 'moved' }), {
      perform: async (_, given) => ({
        found: await finishedEvaluation(given as unknown as EvaluateOptions, {}),
      }),
      onEvent: () => {},
      signal: new AbortController().signal,
    });
    expect(result.stages[2].result).toEqual({ found: summary });
  });

  it('stops after the stage at work when it is asked to, and goes on from there', async () => {
    const stop = new AbortController();
    road.afterFiles = (name) => name === 'twice' && stop.abort(new Error('stop'));
    const text = `${twoStages}  last: { command: say, text: bye }\n`;
    const { isComplete } = await road.run(text, { signal: stop.signal });
    expect([isComplete, ...statuses()]).toEqual([false, 'hello done', 'twice interrupted', 'last pending']);
    road.afterFiles = () => {};
    await road.run(text);
    expect(road.computed).toEqual(['hello', 'twice', 'twice+', 'last']);
  });

  it("says which stage failed, in front of the command's own words", async () => {
    road.afterFiles = () => {
      throw new UserError({ where: '--text', expected: 'a word', found: 'hello' });
    };
    await expect(road.run(twoStages)).rejects.toThrow(
      /^stage hello \(.*hello-\w{8}\): --text: expected a word, got hello/,
    );
    expect(statuses()).toEqual(['hello failed', 'twice pending']);
  });

  it('counts a stage without its record as begun, and one without its folder as not there', async () => {
    await road.run(twoStages);
    rmSync(join(await folderOf('twice'), 'stage.json'));
    await road.run(twoStages);
    rmSync(await folderOf('twice'), { recursive: true });
    await road.run(twoStages);
    expect(road.computed).toEqual(['hello', 'twice', 'twice+', 'twice']);
  });

  it('is refused to a second process', async () => {
    mkdirSync(road.path('out'));
    const other = FolderLock.take(road.path('out'));
    try {
      await expect(road.run(twoStages)).rejects.toThrow(
        /no other process writes to, got a run held by process/,
      );
    } finally {
      other.release();
    }
    expect(road.computed).toEqual([]);
  });

  it('is refused where nothing can be written', async () => {
    road.put('out', 'a file');
    await expect(road.run(twoStages)).rejects.toThrow(UserError);
  });
});

describe('a choice of stages', () => {
  it('runs up to a stage, and single stages whose inputs are finished', async () => {
    const plan = await road.plan(twoStages);
    expect(chooseStages(plan, { until: 'hello' })).toEqual(['hello']);
    expect(chooseStages(plan, { only: ['twice'] })).toEqual(['twice']);
    expect(chooseStages(plan, {})).toBeUndefined();
    await expect(road.run(twoStages, { selected: ['twice'] })).rejects.toThrow(
      /^stage twice: expected the stage hello, which it reads, to be finished.*Try --until twice\./,
    );
    await road.run(twoStages, { selected: ['hello'] });
    expect(existsSync(await folderOf('twice'))).toBe(false);
    await road.run(twoStages, { selected: ['twice'] });
    expect(road.computed).toEqual(['hello', 'twice']);
  });

  it('names the nearest stage', async () => {
    const plan = await road.plan(twoStages);
    expect(() => chooseStages(plan, { until: 'twise' })).toThrow(
      /--until: .*got unknown twise\. Try twice\./,
    );
  });
});

describe('a forecast', () => {
  it('is measured once the stage has run here or beside, under the same name', async () => {
    const estimated = await forecastRoad(await road.plan(twoStages));
    expect(estimated.get('hello')!.basis).toBe('estimated');
    const { stages } = await road.run(twoStages);
    const beside = await forecastRoad(await road.plan(twoStages, { out: 'beside', seed: 8 }));
    expect(beside.get('hello')).toEqual({
      basis: 'measured',
      seconds: stages[0].seconds,
      memoryBytes: stages[0].peak_memory_bytes,
    });
  });
});
