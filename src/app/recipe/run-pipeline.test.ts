// biome-ignore-all lint/suspicious/noTemplateCurlyInString: recipes refer to stages by ${name}
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { commitEvaluation, finishedEvaluation } from '../../align/evaluation/evaluation-folder.ts';
import type { EvaluateOptions } from '../../align/evaluation/evaluation-options.ts';
import { FolderLock } from '../../align/run/lock.ts';
import { UserError } from '../../engine/errors.ts';
import { stages } from '../stages/stages.ts';
import { chooseStages } from './choose-stages.ts';
import { forecastPipeline } from './forecast.ts';
import { runPipeline } from './run-pipeline.ts';
import { SmallPipeline, twoStages } from './testing/small-pipeline.ts';

let pipeline: SmallPipeline;
beforeEach(() => {
  pipeline = new SmallPipeline();
});
afterEach(() => pipeline.remove());

const pipelineFile = () => JSON.parse(readFileSync(pipeline.path('out/pipeline.json'), 'utf8'));
const statuses = () =>
  pipelineFile().stages.map(({ name, status }: Record<string, string>) => `${name} ${status}`);
const folders = () => readdirSync(pipeline.path('out')).filter((name) => name.includes('-'));
const folderOf = async (name: string, text = twoStages) =>
  (await pipeline.plan(text)).stages.find((stage) => stage.name === name)!.folder;
/** What dies after `name` has written its files leaves no record. */
const dyingAfter = (name: string) => (finished: string) => {
  if (finished === name) throw new Error('killed');
};

describe('a pipeline', () => {
  it('gives each stage the files of the stages that it reads', async () => {
    const { stages, isComplete } = await pipeline.run(twoStages);
    expect(stages.map(({ result }) => result)).toEqual([
      { content: 'hello 3' },
      { content: 'hello 3hello 3' },
    ]);
    expect(isComplete).toBe(true);
    expect(readFileSync(join(await folderOf('twice'), 'text.txt'), 'utf8')).toBe('hello 3hello 3');
  });

  it('computes nothing twice, and still knows what came out', async () => {
    const first = await pipeline.run(twoStages);
    const second = await pipeline.run(twoStages);
    expect(pipeline.computed).toEqual(['hello', 'twice']);
    expect(second.stages.map(({ status }) => status)).toEqual(['unchanged', 'unchanged']);
    expect(second.stages.map(({ result, seconds }) => [result, seconds])).toEqual(
      first.stages.map(({ result, seconds }) => [result, seconds]),
    );
  });

  it('computes what changed and what reads it in new folders, and deletes nothing', async () => {
    const text = `${twoStages}  other: { command: say, text: bye }\n`;
    await pipeline.run(text);
    const before = folders();
    await pipeline.run(text.replace('hello }', 'hi }'));
    expect(pipeline.computed).toEqual(['hello', 'twice', 'other', 'hello', 'twice']);
    expect(folders()).toEqual(expect.arrayContaining(before));
    expect(folders()).toHaveLength(5);
    await pipeline.run(text);
    expect(pipeline.computed).toHaveLength(5);
  });

  it('says in pipeline.json what each stage was asked and what it took', async () => {
    await pipeline.run(twoStages);
    const { recipe, seed, stages } = pipelineFile();
    expect([recipe, seed]).toEqual(['pipeline', 3]);
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
    pipeline.afterFiles = dyingAfter('hello');
    await expect(pipeline.run(twoStages)).rejects.toThrow('killed');
    expect(statuses()).toEqual(['hello failed', 'twice pending']);
    pipeline.afterFiles = dyingAfter('twice');
    await expect(pipeline.run(twoStages)).rejects.toThrow('killed');
    pipeline.afterFiles = () => {};
    await pipeline.run(twoStages);
    expect(pipeline.computed).toEqual(['hello', 'hello', 'twice', 'twice+']);
    expect(statuses()).toEqual(['hello unchanged', 'twice done']);
  });

  it("resumes in a pipeline that was moved, with today's paths in the stage's own recipe", async () => {
    pipeline.afterFiles = dyingAfter('twice');
    await expect(pipeline.run(twoStages)).rejects.toThrow('killed');
    const [from, to] = [await folderOf('hello'), pipeline.path('moved')];
    const written = `command: join\ndata:\n  - ${from}/text.txt\nextra: { folder: ${from}/model, weight: 2 }\n`;
    writeFileSync(join(await folderOf('twice'), 'recipe.yaml'), written);
    renameSync(pipeline.path('out'), to);
    pipeline.afterFiles = () => {};
    await pipeline.run(twoStages, { out: 'moved' });
    expect(pipeline.computed.at(-1)).toBe('twice+');
    const folder = (await pipeline.plan(twoStages, { out: 'moved' })).stages[1].folder;
    expect(readFileSync(join(folder, 'recipe.yaml'), 'utf8')).toContain(
      `- ${from.replace('/out/', '/moved/')}/text`,
    );
  });

  it('finds an evaluation that was whole when it was killed, though the pipeline was moved since', async () => {
    pipeline.stages = [...pipeline.stages, stages.evaluate];
    pipeline.put('rows.jsonl', '{}');
    const text = `${twoStages}  eval: { command: eval, model: '\${hello}', data: [rows.jsonl] }\n`;
    await pipeline.run(text, { selected: ['hello', 'twice'] });
    const summary = { model: 'hello', n: 0, metrics: {}, tokens_generated: 0, faults: 0 };
    const { options } = (await pipeline.plan(text)).stages[2];
    await commitEvaluation(options as unknown as EvaluateOptions, {}, { answers: [], summary });
    renameSync(pipeline.path('out'), pipeline.path('moved'));
    const result = await runPipeline(await pipeline.plan(text, { out: 'moved' }), {
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
    pipeline.afterFiles = (name) => {
      if (name === 'twice') stop.abort(new Error('stop'));
    };
    const text = `${twoStages}  last: { command: say, text: bye }\n`;
    const { isComplete } = await pipeline.run(text, { signal: stop.signal });
    expect([isComplete, ...statuses()]).toEqual([false, 'hello done', 'twice interrupted', 'last pending']);
    pipeline.afterFiles = () => {};
    await pipeline.run(text);
    expect(pipeline.computed).toEqual(['hello', 'twice', 'twice+', 'last']);
  });

  it("says which stage failed, in front of the command's own words", async () => {
    pipeline.afterFiles = () => {
      throw new UserError({ where: '--text', expected: 'a word', found: 'hello' });
    };
    await expect(pipeline.run(twoStages)).rejects.toThrow(
      /^stage hello \(.*hello-\w{8}\): --text: expected a word, got hello/,
    );
    expect(statuses()).toEqual(['hello failed', 'twice pending']);
  });

  it('counts a stage without its record as begun, and one without its folder as not there', async () => {
    await pipeline.run(twoStages);
    rmSync(join(await folderOf('twice'), 'stage.json'));
    await pipeline.run(twoStages);
    rmSync(await folderOf('twice'), { recursive: true });
    await pipeline.run(twoStages);
    expect(pipeline.computed).toEqual(['hello', 'twice', 'twice+', 'twice']);
  });

  it('is refused to a second process', async () => {
    mkdirSync(pipeline.path('out'));
    const other = FolderLock.take(pipeline.path('out'));
    try {
      await expect(pipeline.run(twoStages)).rejects.toThrow(
        /no other process writes to, got a run held by process/,
      );
    } finally {
      other.release();
    }
    expect(pipeline.computed).toEqual([]);
  });

  it('is refused where nothing can be written', async () => {
    pipeline.put('out', 'a file');
    await expect(pipeline.run(twoStages)).rejects.toThrow(UserError);
  });
});

describe('a choice of stages', () => {
  it('runs up to a stage, and single stages whose inputs are finished', async () => {
    const plan = await pipeline.plan(twoStages);
    expect(chooseStages(plan, { until: 'hello' })).toEqual(['hello']);
    expect(chooseStages(plan, { only: ['twice'] })).toEqual(['twice']);
    expect(chooseStages(plan, {})).toBeUndefined();
    await expect(pipeline.run(twoStages, { selected: ['twice'] })).rejects.toThrow(
      /^stage twice: expected the stage hello, which it reads, to be finished.*Try --until twice\./,
    );
    await pipeline.run(twoStages, { selected: ['hello'] });
    expect(existsSync(await folderOf('twice'))).toBe(false);
    await pipeline.run(twoStages, { selected: ['twice'] });
    expect(pipeline.computed).toEqual(['hello', 'twice']);
  });

  it('names the nearest stage', async () => {
    const plan = await pipeline.plan(twoStages);
    expect(() => chooseStages(plan, { until: 'twise' })).toThrow(
      /--until: .*got unknown twise\. Try twice\./,
    );
  });
});

describe('a forecast', () => {
  it('is measured once the stage has run here or beside, under the same name', async () => {
    const estimated = await forecastPipeline(await pipeline.plan(twoStages));
    expect(estimated.get('hello')!.basis).toBe('estimated');
    const { stages } = await pipeline.run(twoStages);
    const beside = await forecastPipeline(await pipeline.plan(twoStages, { out: 'beside', seed: 8 }));
    expect(beside.get('hello')).toEqual({
      basis: 'measured',
      seconds: stages[0].seconds,
      memoryBytes: stages[0].peakMemoryBytes,
    });
  });
});

describe('stages at once', () => {
  const fan = `
seed: 3
stages:
  hello: { command: say, text: hello }
  one: { command: join, data: ['\${hello}/text.txt'] }
  two: { command: join, data: ['\${hello}/text.txt'], threads: 7 }
  three: { command: join, data: ['\${hello}/text.txt'] }
  all: { command: join, data: ['\${one}/text.txt', '\${three}/text.txt'] }
`;
  /** Ends a stage's work only when told. */
  function held() {
    const ends = new Map<string, () => void>();
    const fails = new Map<string, (reason: Error) => void>();
    pipeline.afterFiles = (name) =>
      new Promise((resolve, reject) => {
        ends.set(name, resolve);
        fails.set(name, reject);
      });
    const end = async (name: string) => {
      await vi.waitFor(() => expect(ends.has(name)).toBe(true));
      ends.get(name)!();
      await vi.waitFor(() => expect(statuses()).toContain(`${name} done`));
    };
    return { end, fail: (name: string) => fails.get(name)!(new Error('broken')) };
  }

  it('begin when what they read is there, as many as may, and share the cores', async () => {
    const { end } = held();
    const running = pipeline.run(fan, { jobs: 2 });
    await end('hello');
    await vi.waitFor(() => expect(pipeline.computed).toEqual(['hello', 'one', 'two']));
    await end('two');
    await vi.waitFor(() => expect(pipeline.computed).toEqual(['hello', 'one', 'two', 'three']));
    await end('three');
    expect(pipeline.computed).toHaveLength(4);
    await end('one');
    await end('all');
    expect((await running).isComplete).toBe(true);
    const half = Math.max(1, Math.floor(availableParallelism() / 2));
    expect(pipeline.threads).toEqual({ hello: undefined, one: half, two: 7, three: half, all: undefined });
  });

  it('that run beside one that fails are finished, and no other begins', async () => {
    const { end, fail } = held();
    const running = pipeline.run(fan, { jobs: 2 });
    const failed = expect(running).rejects.toThrow('broken');
    await end('hello');
    await vi.waitFor(() => expect(pipeline.computed).toHaveLength(3));
    fail('two');
    await vi.waitFor(() => expect(statuses()).toContain('two failed'));
    await end('one');
    await failed;
    expect(statuses()).toEqual(['hello done', 'one done', 'two failed', 'three pending', 'all pending']);
  });

  it('have all cores where what would run beside them is finished', async () => {
    await pipeline.run(fan, { selected: ['hello', 'two', 'three'] });
    pipeline.threads.one = 'none';
    await pipeline.run(fan, { jobs: 3 });
    expect(pipeline.computed).toEqual(['hello', 'two', 'three', 'one', 'all']);
    expect(pipeline.threads.one).toBeUndefined();
  });
});
