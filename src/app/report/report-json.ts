// What report.json holds: the same figures that report.html and report.md show, rounded nowhere. Two runs of one recipe
// with one seed give the same file but for the key `costs`. Parts whose stages a recipe leaves out are absent.

import type { Changes } from '../../align/evaluation/compare.ts';
import type { Metrics } from '../../align/evaluation/summary.ts';
import type { AlarmEvent } from '../../align/run/events.ts';
import type { Interval } from '../../align/scoring/intervals.ts';
import type { StageRole } from './roles.ts';

/** Figures on the held-out requests, as `heed eval` sums them up. */
export interface MethodReport extends Metrics {
  /** Against the model that it started from, pair by pair, as `heed compare` measures it; and which model that is. */
  change?: Changes;
  against?: string;
  /** What the method's own stage used; labels and reward model are counted with their own stages. */
  budget?: { tokens_generated: number; tokens_trained: number };
}

export interface RewardModelReport {
  /** Agreement with the criterion on held-out pairs of SFT answers. */
  accuracy?: Interval;
  /** By the strength that the annotators gave. */
  accuracy_by_strength?: Record<string, Interval>;
  /** Expected calibration error, and the bins behind it: confidence in its choice, ½ … 1, share of them right. */
  calibration?: { ece?: number; bins?: { predicted: number; actual: number; n: number }[] };
  /** Pearson, of score and tokens an answer. */
  length_correlation?: Interval;
  /** Pearson, of score and criterion over the SFT model's held-out answers. */
  criterion_correlation?: Interval;
  [other: string]: unknown;
}

export type Alarm = Omit<AlarmEvent, 'type'>;

/** What went otherwise than planned in a stage. */
export interface Incident {
  /** What became of a stage that has no end, as pipeline.json says it: `pending`, `running`, `interrupted`, `failed`. */
  unfinished?: string;
  /** The method itself ended the run, or took back what it had learnt last. */
  stopped?: { step: number; reason: string };
  /** Updates that changed nothing, and why the first of them did not. */
  skipped?: { updates: number; reason: string };
}

/** One figure over the steps of a run; it need not be measured at every step. */
export interface Curve {
  steps: number[];
  values: number[];
}

/** Proxy and gold against the distance from SFT along one PPO run, d = √KL. */
export interface Overoptimisation {
  proxy: { distance: number; value: number }[];
  /** What only a world can judge, where it was watched. */
  gold?: { distance: number; value: number }[];
  pass_rate?: { distance: number; value: number }[];
  /** start + d(α − β ln d) fitted to gold; absent with too few points. */
  fit?: {
    alpha: number;
    beta: number;
    start: number;
    interval_start: readonly [number, number];
    interval_alpha: readonly [number, number];
    interval_beta: readonly [number, number];
    peak?: { distance: number; kl_nats: number; reward: number };
  };
}

/** What is shown of an answer. */
export interface SampleAnswer {
  text: string;
  passed?: number;
  readability?: number;
  gold?: number;
  proxy?: number;
  kl?: number;
  /** Of coaching requests: whether the advice is right. */
  right?: number;
}

export interface Sample {
  index: number;
  kind: string;
  problem?: string;
  prompt: string;
  /** What a right answer says; of coaching requests. */
  answer?: string;
  answers: Record<string, SampleAnswer>;
}

/** Figures as a stage measured them: numbers and intervals, possibly under further keys. */
export type Figures = Record<string, unknown>;

export interface StageCost {
  name: string;
  command: string;
  status: string;
  seconds?: number;
  peak_memory_bytes?: number;
  tokens_generated?: number;
  tokens_trained?: number;
  tokens_per_second?: number;
  /** Bytes of each model that a run holds, where it says so. */
  memory?: RoleMemory[];
}

export interface RoleMemory {
  /** `policy`, `reference`, `reward`, `value`. */
  role: string;
  weights_bytes: number;
  optimizer_bytes: number;
  /** Its weights are another role's, and counted there. */
  shared: boolean;
}

/** What a method's own stage used, and that against the mean of the compared methods: 1.2 is a fifth more. */
export interface MethodCost {
  seconds: number;
  peak_memory_bytes?: number;
  /** Generated and trained. */
  tokens: number;
  share_of_mean: { seconds?: number; tokens?: number };
}

export interface Report {
  recipe: string;
  seed: number;
  /** The world whose tests and criteria judged the answers, such as `kata`. */
  world?: string;
  stages: StageRole[];
  /** By the model's stage, or its name in the recipe; a model's second evaluation by the evaluation's stage. */
  methods: Record<string, MethodReport>;
  /** By stage. */
  reward_models: Record<string, RewardModelReport>;
  /** By stage. */
  labels: Record<string, Figures>;
  coaching: Record<string, { right: Interval; majority: Interval }>;
  /** Of the runs that have begun, by stage: empty where there was none so far. */
  alarms: Record<string, Alarm[]>;
  /** By stage; of those alone that have one. */
  incidents: Record<string, Incident>;
  overlap?: Figures;
  /** By stage, then by metric, such as `objective/kl`. */
  curves: Record<string, Record<string, Curve>>;
  overoptimisation: Record<string, Overoptimisation>;
  samples: Sample[];
  /** Readable answers that fail, with what the start model answered. */
  hacked: Sample[];
  /** The only key that may differ between two runs of one seed. */
  costs: {
    seconds: number;
    peak_memory_bytes?: number;
    stages: StageCost[];
    /** Of the methods that are meant to have equal budgets. */
    methods: Record<string, MethodCost>;
  };
}
