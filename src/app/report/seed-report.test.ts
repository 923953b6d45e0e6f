import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from './report-json.ts';
import { seedsIn, writeSeedReport, writeSeedReportsAgain } from './seed-report.ts';
import { type SeedSummary, summariseSeeds } from './seed-summary.ts';
import { writeSyntheticRoad } from './testing/synthetic-road.ts';

const interval = (value: number) => ({ value, low: value, high: value, n: 100 });
/** A road in which PPO's gold rose by so much. */
const reportOf = (seed: number, sftGold: number, rise: number): Report => ({
  ...{ recipe: 'small', seed, coaching: {}, alarms: {}, incidents: {}, curves: {} },
  ...{ overoptimisation: {}, samples: [], hacked: [], costs: { seconds: seed, stages: [], methods: {} } },
  methods: {
    sft: { gold: interval(sftGold) },
    ppo: { gold: interval(sftGold + rise), change: { gold: interval(rise) } },
  },
});
const roads = [
  { seed: 1, folder: 'seed-1', report: reportOf(1, 0.5, 0.1) },
  { seed: 2, folder: 'seed-2', report: reportOf(2, 0.6, 0.2) },
  { seed: 3, folder: 'seed-3', failure: 'stage ppo: failed' },
  { seed: 4, folder: 'seed-4', report: reportOf(4, 0.7, 0.3) },
];

describe('summariseSeeds', () => {
  const { methods, changes, seeds } = summariseSeeds('small', roads);

  it('gives mean, standard deviation, least and greatest over the seeds that finished', () => {
    const { mean, sd, min, max, n } = methods.sft!.gold!;
    expect([mean, sd]).toEqual([expect.closeTo(0.6, 12), expect.closeTo(0.1, 12)]);
    expect([min, max, n]).toEqual([0.5, 0.7, 3]);
  });

  it('gives the mean paired change with Student’s t over the seeds, and every seed’s own', () => {
    const { value, low, high, n, by_seed } = changes.ppo!.gold!;
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
    expect(summariseSeeds('small', [roads[0]]).methods.sft!.gold).toEqual({
      mean: 0.5,
      min: 0.5,
      max: 0.5,
      n: 1,
    });
  });
});

describe('the report over seeds', () => {
  let folder: string;
  const failing = () => join(folder, 'seed-11', 'road.json');
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'heed-seeds-'));
    for (const seed of [2, 11]) {
      await writeSyntheticRoad({ folder: join(folder, `seed-${seed}`), problems: 8, coaching: 2, steps: 6 });
    }
    const road = JSON.parse(readFileSync(failing(), 'utf8'));
    road.stages.find(({ name }: { name: string }) => name === 'dpo').status = 'failed';
    writeFileSync(failing(), JSON.stringify(road));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is made again from the roads alone, with the failed one by name', async () => {
    expect(seedsIn(folder)).toEqual([2, 11]);
    const { reportJson, html, markdown } = await writeSeedReportsAgain(folder);
    const summary: SeedSummary = JSON.parse(readFileSync(reportJson, 'utf8'));
    const own: Report = JSON.parse(readFileSync(join(folder, 'seed-2', 'report.json'), 'utf8'));
    expect(summary.methods.sft!.pass_rate!.mean).toBe(own.methods.sft!.pass_rate!.value);
    expect(summary.changes.ppo!.gold!.by_seed).toEqual({ 2: own.methods.ppo!.change!.gold!.value });
    expect(summary.seeds.map(({ status }) => status)).toEqual(['done', 'failed']);
    for (const file of [html, markdown]) {
      expect(readFileSync(file, 'utf8')).toContain('Seed 11 has no figures: stage dpo: failed.');
    }
  });

  it('is refused where no seed has finished', async () => {
    await expect(writeSeedReport(folder, [11, 12])).rejects.toThrow(
      /expected at least one seed whose road is/,
    );
  });
});
