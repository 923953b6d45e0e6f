// A stage of the pipeline as a value: its options, the job that computes it, the models that it holds, what it costs, and
// its summary. The command line, recipes, forecasts and programs read these; none of them knows a stage by name.

import type { z } from 'zod';
import type { Device } from '../../engine/runtime/backend.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import { type OptionSpec, optionSpecs } from './options.ts';
import type { Summary } from './summary.ts';

/** A model that a stage keeps in memory. */
export interface ModelUse {
  role: 'policy' | 'reference' | 'reward model' | 'value model';
  /** The option that names it; one that names rewards or several models counts each model. */
  option: string;
  /**
   * trained: with gradients and optimiser states; frozen: weights alone; shared: the policy's own weights where the
   * option names no other, so that it takes no memory of its own.
   */
  weights: 'trained' | 'frozen' | 'shared';
  /** There even when the option names none: a new model, or a copy of the policy. */
  isAlways?: boolean | ((options: Readonly<Record<string, unknown>>) => boolean);
  /** Forward passes over every text besides those of training and generation. */
  passes?: number;
}

/** What determines how long a stage takes, besides its models. */
export interface Work<Options> {
  /** Texts in a row of the data, each with the prompt; default 1. */
  textsPerRow?: number;
  /** Completions are generated once for each row, or `online`: anew in every step for its own prompts. */
  generates?: 'once' | 'online';
  /** Completions of each row; default 1. */
  completions?(options: Options): number;
  /** How often an online stage learns from its completions; default 1. */
  passes?(options: Options): number;
  /** Its model has no adapter, whatever it is made from. */
  makesWholeModel?: boolean;
  /** Rows of the files that it writes, by the file's stem, from the number of rows of its data. */
  makes?(options: Options, dataRows: number): Readonly<Record<string, number>>;
}

export interface Progress {
  /** What is being done; default the stage's name. */
  label?: string;
  /** What is counted, in the plural. */
  unit: string;
  done: number;
  total: number;
}

// biome-ignore lint/suspicious/noExplicitAny: only the types that a definition's job carries are read from it
export type Run = (payload: any, context: any) => Promise<object>;
type EventOf<R extends Run> = Parameters<R>[1] extends JobContext<infer Event> ? Event : never;
export type ResultOf<R extends Run> = Awaited<ReturnType<R>>;

/** The exported function of a module that computes a stage in an engine process. */
export interface StageJob<R extends Run = Run> {
  /** URL of the built module. */
  module: string;
  name: string;
  /** Never set: carries the function's type. */
  readonly run?: R;
}

export function jobOf<R extends Run>(module: URL, name: string): StageJob<R> {
  return { module: module.href, name };
}

interface StageDefinition<Schema extends z.ZodObject, R extends Run> {
  /** As typed after `heed` and as `command` of a recipe: `sft`, `tokenizer train`. */
  name: string;
  /** One line for --help. */
  description: string;
  /** Options by camel-case name: strings (with their TextKind), numbers, booleans, enums, and arrays of these. */
  schema: Schema;
  job: StageJob<R>;
  /** The policy, or the model that is trained, first. */
  models?: readonly ModelUse[];
  work?: Work<z.output<Schema>>;
  /** Part of a recipe stage's key: raised when the same options come to give another result. */
  revision?: number;
  /** How far the job is, from its events; undefined for one that does not say. */
  progress?(event: EventOf<R>): Progress | undefined;
  summary(result: ResultOf<R>, options: z.output<Schema>): Summary;
}

export interface Stage<Schema extends z.ZodObject = z.ZodObject, R extends Run = Run>
  extends StageDefinition<Schema, R> {
  models: readonly ModelUse[];
  work: Work<z.output<Schema>>;
  options: readonly OptionSpec[];
}

/** What a job is given: the options, with device and threads resolved. */
export type Resolved<Options> = Options extends { device: unknown }
  ? Omit<Options, 'device' | 'threads'> & { device: Device; threads: number }
  : Options;

/** Does not compile where the schema's options are not what the job takes. */
export function defineStage<Schema extends z.ZodObject, R extends Run>(
  definition: StageDefinition<Schema, R> &
    (Resolved<z.output<Schema>> extends Parameters<R>[0] ? unknown : { job: 'options unlike the schema' }),
): Stage<Schema, R> {
  return { models: [], work: {}, ...definition, options: optionSpecs(definition.schema) };
}

export function hasOption({ options }: Pick<Stage, 'options'>, name: string): boolean {
  return options.some((option) => option.name === name);
}
