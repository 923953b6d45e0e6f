// What a report can say of answers depends on who judged them. A world knows tests and criteria of its own; without one
// the report shows what every evaluation holds.

import type { Answer } from '../../align/evaluation/answers.ts';
import type { Changes } from '../../align/evaluation/compare.ts';
import type { Metrics } from '../../align/evaluation/summary.ts';
import type { Pipeline } from '../recipe/pipeline-file.ts';
import { type Bilingual, type Form, say } from './bilingual.ts';
import type { Block, ShownAnswer, Tile } from './document.ts';
import type { Evaluation } from './evaluations.ts';
import type { Names } from './names.ts';
import type { Report, RewardModelReport, Sample, SampleAnswer } from './report-json.ts';

export interface Figure {
  name: keyof Metrics;
  label: Bilingual;
  form: Form;
}

export interface ChangeFigure {
  name: keyof Changes;
  title: Bilingual;
  form: Form;
  /** Where nothing changed. */
  neutral: number;
  axisForm: Form;
  /** Over a column of the table, beside the figures. */
  column?: Bilingual;
}

/** Parts of a report that its world adds or words in its own way. */
export interface World {
  /** Of evaluations, in the order of the table's columns; those of every evaluation follow. */
  figures: readonly Figure[];
  changes: readonly ChangeFigure[];
  /** The reward on the plane of KL and reward. */
  plane: { figure: 'readability' | 'proxy'; words: { chart: Bilingual; y: Bilingual } };
  /** What a run's metrics may be called that follow the world's figures along training. */
  watched: Partial<
    Record<'gold' | 'pass_rate', { label: Bilingual; title: Bilingual; metrics: readonly string[] }>
  >;
  words: {
    headline: (n: string) => Bilingual;
    methods: Bilingual;
    samples: Bilingual;
    reward: Bilingual;
    hacking: Bilingual;
  };
  /** The keys of report.json that only it can fill. */
  measure: (
    pipeline: Pipeline,
    report: Report,
    evaluations: readonly Evaluation[],
  ) => Promise<Partial<Report>>;
  /** Of a reward model, from the answers that it scored. */
  correlations: (answers: readonly Answer[]) => Partial<RewardModelReport>;
  tiles: (report: Report, names: Names) => Tile[];
  verdicts: (report: Report, names: Names) => Bilingual[];
  /** What goes in front of an answer. */
  show: (sample: Sample, answer: SampleAnswer) => Pick<ShownAnswer, 'markup' | 'verdicts'>;
  sampleTitle: (sample: Sample, number: number) => Bilingual;
  /** At the ends of sections. */
  blocks: Partial<Record<'samples' | 'hacking' | 'reward', (report: Report, names: Names) => Block[]>>;
}

/** Requests that are shown where no world chooses. */
export const SAMPLES_SHOWN = 4;

export const everyWorld: World = {
  figures: [],
  changes: [],
  plane: { figure: 'proxy', words: { chart: say('plane.chart'), y: say('metric.proxy') } },
  watched: {},
  words: {
    headline: (n) => say('headline.lead', { n }),
    methods: say('methods.lead'),
    samples: say('samples.lead', { n: String(SAMPLES_SHOWN) }),
    reward: say('reward.lead'),
    hacking: say('hacking.lead'),
  },
  async measure() {
    return {};
  },
  correlations: () => ({}),
  tiles: () => [],
  verdicts: () => [],
  show: () => ({ verdicts: [] }),
  sampleTitle: (_, number) => say('samples.request', { number: String(number) }),
  blocks: {},
};
