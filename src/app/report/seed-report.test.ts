import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from './report-json.ts';
import { seedsIn, writeSeedReport, writeSeedReportsAgain } from './seed-report.ts';
import { type SeedSummary, summariseSeeds } from './seed-summary.ts';
import { writeSyntheticPipeline } from './testing/synthetic-pipeline.ts';

const interval = (value: number) => ({ value, low: value, high: value, n: 100 });
/** A pipeline in which PPO's gold rose by so much. */
const reportOf = (seed: number, sftGold: number, rise: number): Report => ({
  ...{ recipe: 'small', seed, coaching: {}, alarms: {}, incidents: {}, curves: {} },
  ...{ stages: [], reward_models: {}, labels: {} },
  ...{ overoptimisation: {}, samples: [], hacked: [], costs: { seconds: seed, stages: [], methods: {} } },
  methods: {
    sft: { gold: interval(sftGold) },
    ppo: { gold: interval(sftGold + rise), change: { gold: interval(rise) } },
  },
});
const pipelines = [
  { seed: 1, folder: 'seed-1', report: reportOf(1, 0.5, 0.1) },
  { seed: 2, folder: 'seed-2', report: reportOf(2, 0.6, 0.2) },
  { seed: 3, folder: 'seed-3', failure: 'stage ppo: failed' },
  { seed: 4, folder: 'seed-4', report: reportOf(4, 0.7, 0.3) },
];

describe('summariseSeeds', () => {
  const { methods, changes, seeds } = summariseSeeds('small', pipelines);

  it('gives mean, standard deviation, least and greatest over the seeds that finished', () => {
    const { mean, sd, min, max, n } = methods.sft.gold!;
    expect([mean, sd]).toEqual([expect.closeTo(0.6, 12), expect.closeTo(0.1, 12)]);
    expect([min, max, n]).toEqual([0.5, 0.7, 3]);
  });

  it('gives the mean paired change with Student’s t over the seeds, and every seed’s own', () => {
    const { value, low, high, n, by_seed } = changes.ppo.gold!;
    // t for 2 degrees of freedom, from a printed table.
    const half = (4.30265 * 0.1) / Math.sqrt(3);
    expect([value, low, high]).toEqual([0.2, 0.2 - half, 0.2 + half].map((x) => expect.closeTo(x, 5)));
    expect([n, by_seed]).toEqual([3, { 1: 0.1, 2: 0.2, 4: 0.3 }]);
    expect(changes).not.toHaveProperty('sft');
  });

  it('names a seed that failed, and where', () => {
    expect(seeds[2]).toEqual({ seed: 3, folder: 'seed-3', status: 'failed', failure: 'stage ppo: failed' });
    expect(seeds[3]).toEqual({ seed: 4, folder: 'seed-4', status: 'done' });
  });

  it('has no standard deviation of a single seed', () => {
    expect(summariseSeeds('small', [pipelines[0]]).methods.sft.gold).toEqual({
      mean: 0.5,
      min: 0.5,
      max: 0.5,
      n: 1,
    });
  });
});

describe('the report over seeds', () => {
  let folder: string;
  const changeStage = (seed: number, name: string, change: object) => {
    const file = join(folder, `seed-${seed}`, 'pipeline.json');
    const pipeline = JSON.parse(readFileSync(file, 'utf8'));
    Object.assign(
      pipeline.stages.find((stage: { name: string }) => stage.name === name),
      change,
    );
    writeFileSync(file, JSON.stringify(pipeline));
  };
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'heed-seeds-'));
    for (const seed of [2, 11]) {
      await writeSyntheticPipeline({
        folder: join(folder, `seed-${seed}`),
        problems: 8,
        coaching: 2,
        steps: 6,
      });
    }
    changeStage(11, 'dpo', { status: 'failed' });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is made again from the pipelines alone, with the failed one by name', async () => {
    expect(seedsIn(folder)).toEqual([2, 11]);
    const { reportJson, html, markdown } = await writeSeedReportsAgain(folder);
    const summary: SeedSummary = JSON.parse(readFileSync(reportJson, 'utf8'));
    const own: Report = JSON.parse(readFileSync(join(folder, 'seed-2', 'report.json'), 'utf8'));
    expect(summary.methods.sft.pass_rate!.mean).toBe(own.methods.sft.pass_rate!.value);
    expect(summary.changes.ppo.gold!.by_seed).toEqual({ 2: own.methods.ppo.change!.gold!.value });
    expect(summary.seeds.map(({ status }) => status)).toEqual(['done', 'failed']);
    for (const file of [html, markdown]) {
      expect(readFileSync(file, 'utf8')).toContain('Seed 11 has no figures: stage dpo: failed.');
    }
  });

  it('names a run that was stopped beside its seed', async () => {
    const events = join(folder, 'seed-2', 'ppo-0a1b2c3d', 'events.jsonl');
    const before = readFileSync(events, 'utf8');
    writeFileSync(events, `${before}{"type":"stopped","step":6,"reason":"KL 9 beyond 5","metrics":{}}\n`);
    const { reportJson, markdown } = await writeSeedReportsAgain(folder);
    writeFileSync(events, before);
    const { seeds }: SeedSummary = JSON.parse(readFileSync(reportJson, 'utf8'));
    expect(seeds[0].incidents).toEqual({ ppo: { stopped: { step: 6, reason: 'KL 9 beyond 5' } } });
    expect(readFileSync(markdown, 'utf8')).toContain('- seed 2: PPO was stopped: KL 9 beyond 5.');
  });

  it('is refused over pipelines of different recipes, by stage and option, and whatever their seeds', async () => {
    const dpo = { status: 'done', options: { beta: 0.1, seed: 11 } };
    changeStage(2, 'dpo', { options: { beta: 0.1, seed: 2 } });
    changeStage(11, 'dpo', dpo);
    await expect(writeSeedReport(folder, [2, 11])).resolves.toHaveProperty('html');
    changeStage(11, 'dpo', { options: { beta: 0.3, seed: 11 } });
    await expect(writeSeedReport(folder, [2, 11])).rejects.toThrow(
      /seed-11: stage dpo: beta: expected 0\.1, as in .*seed-2, got 0\.3\. Try/,
    );
    changeStage(11, 'dpo', { ...dpo, name: 'orpo' });
    await expect(writeSeedReport(folder, [2, 11])).rejects.toThrow(/stage dpo: command: .* got none/);
    changeStage(11, 'orpo', { ...dpo, name: 'dpo', status: 'failed' });
  });

  it('is refused where no seed has finished', async () => {
    await expect(writeSeedReport(folder, [11, 12])).rejects.toThrow(
      /expected at least one seed whose pipeline is/,
    );
  });
});
