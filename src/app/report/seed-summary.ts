// How far the figures of a recipe move from seed to seed. Nothing is rounded and nothing is drawn here.

import { type Interval, meanInterval } from '../../align/scoring/intervals.ts';
import type { MethodReport, Report } from './report-json.ts';

/** Of a pipeline, as far as it came. */
export interface SeedPipeline {
  seed: number;
  /** Relative to the recipe's folder. */
  folder: string;
  /** Absent when the pipeline did not come to its end. */
  report?: Report;
  /** What it ended with instead, such as `stage ppo: failed`. */
  failure?: string;
}

const seedMetrics = [
  ...['pass_rate', 'gold', 'readability', 'proxy', 'kl', 'length', 'eos_rate', 'continues'],
] as const satisfies readonly (keyof MethodReport)[] as readonly SeedMetric[];
export type SeedMetric = Exclude<keyof MethodReport, 'change' | 'against' | 'budget'>;

/** Over the seeds that have the figure. */
export interface Spread {
  mean: number;
  /** With n − 1; absent for a single seed. */
  sd?: number;
  min: number;
  max: number;
  n: number;
}

/** The mean over seeds of a paired change against the start model, with Student's t interval over the seeds. */
export interface SeedChange extends Interval {
  by_seed: Record<string, number>;
}

export const changedMetrics = ['pass_rate', 'gold', 'proxy'] as const;
export type ChangedMetric = (typeof changedMetrics)[number];

/** What report.json of several seeds holds: two runs of the same seeds give the same file. */
export interface SeedSummary {
  recipe: string;
  world?: string;
  stages: Report['stages'];
  seeds: {
    seed: number;
    folder: string;
    status: 'done' | 'failed';
    failure?: string;
    /** Of a pipeline that came to its end, where not all of it went as planned. */
    incidents?: Report['incidents'];
  }[];
  methods: Record<string, Partial<Record<SeedMetric, Spread>>>;
  changes: Record<string, Partial<Record<ChangedMetric, SeedChange>>>;
}

export function summariseSeeds(recipe: string, pipelines: readonly SeedPipeline[]): SeedSummary {
  const reports = pipelines.flatMap(({ seed, report }) => (report ? [{ seed, report }] : []));
  const first = reports[0]?.report;
  const names = [...new Set(reports.flatMap(({ report }) => Object.keys(report.methods)))];
  return {
    recipe,
    ...(first?.world !== undefined && { world: first.world }),
    stages: first?.stages ?? [],
    seeds: pipelines.map(({ seed, folder, report, failure }) => ({
      ...{ seed, folder, status: report ? 'done' : 'failed' },
      ...(report ? incidentsOf(report) : { failure }),
    })),
    methods: byMethod(names, (name) =>
      spreadsOf(reports.flatMap(({ report }) => report.methods[name] ?? [])),
    ),
    changes: byMethod(names, (name) => changesOver(reports, name)),
  };
}

function incidentsOf({ incidents }: Report): { incidents?: Report['incidents'] } {
  return Object.keys(incidents).length > 0 ? { incidents } : {};
}

/** Without the methods of which nothing is known. */
function byMethod<T extends object>(names: readonly string[], of: (name: string) => T): Record<string, T> {
  const all = names.map((name) => [name, of(name)] as const);
  return Object.fromEntries(all.filter(([, known]) => Object.keys(known).length > 0));
}

function spreadsOf(methods: readonly MethodReport[]): Partial<Record<SeedMetric, Spread>> {
  const spreads = seedMetrics.flatMap((metric) => {
    const values = methods.flatMap((method) => method[metric]?.value ?? []);
    return values.length > 0 ? [[metric, spreadOf(values)]] : [];
  });
  return Object.fromEntries(spreads);
}

function spreadOf(values: readonly number[]): Spread {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const sd = n > 1 ? { sd: Math.sqrt(squares / (n - 1)) } : {};
  return { mean, ...sd, min: Math.min(...values), max: Math.max(...values), n };
}

function changesOver(
  reports: readonly { seed: number; report: Report }[],
  name: string,
): Partial<Record<ChangedMetric, SeedChange>> {
  const changes = changedMetrics.flatMap((metric) => {
    const known = reports.flatMap(({ seed, report }) => {
      const value = report.methods[name]?.change?.[metric]?.value;
      return value === undefined ? [] : [[seed, value] as const];
    });
    const interval = meanInterval(known.map(([, value]) => value));
    return interval ? [[metric, { ...interval, by_seed: Object.fromEntries(known) }]] : [];
  });
  return Object.fromEntries(changes);
}
