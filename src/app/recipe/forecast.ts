// What a stage will take: as measured when a stage of this name and command ran before, here or in a pipeline beside this
// one; otherwise by a rough model of the work. docs/recipes.md describes the model; forecast.test.ts holds it to what the
// shipped recipes took.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import {
  adapterParametersOf,
  type ModelSizes,
  sizesOfModel,
  sizesOfNewModel,
} from '../stages/model-sizes.ts';
import { type HeldModels, modelsHeld } from '../stages/models-held.ts';
import { type PipelineStage, readPipelineIfThere } from './pipeline-file.ts';
import type { Plan, PlannedStage } from './plan-pipeline.ts';
import { namesReferredTo, textsOf } from './references.ts';

export interface Forecast {
  /** Of the stage's model, where that is known. */
  parameters?: number;
  seconds: number;
  memoryBytes: number;
  basis: 'measured' | 'estimated';
}

// The rough model's numbers, for two cores.
const trainingFlops = 1.1e11;
const samplingFlops = 4e10;
const startSeconds = 3;
const madeRowsPerSecond = 10_000;
/** Of a completion with its prompt, of a demonstration, of a document; and of a completion alone. */
const tokensPerText = 130;
const tokensPerCompletion = 70;
/** Where neither the options nor the data give it. */
const unknownRows = 1000;
const programBytes = 250e6;
/** With an engine process that has a model. */
const engineBytes = 450e6;

/** Forecasts by the stage's name. */
export async function forecastPipeline(plan: Plan): Promise<Map<string, Forecast>> {
  const measured = await measuredStages(plan);
  const rough = new RoughModel(plan, await givenSizes(plan));
  return new Map(
    plan.stages.map((stage) => {
      const sizes = rough.sizesOf(stage);
      const parameters = sizes && { parameters: sizes.parameters };
      const known = measuredAs(stage, measured);
      if (!known) return [stage.name, { ...rough.forecast(stage, sizes), ...parameters }];
      const { seconds, peakMemoryBytes } = known;
      return [
        stage.name,
        { seconds: seconds!, memoryBytes: peakMemoryBytes!, basis: 'measured', ...parameters },
      ];
    }),
  );
}

/** The same work before all, then the stage of that name. */
function measuredAs(
  { key, name, command }: PlannedStage,
  measured: readonly PipelineStage[],
): PipelineStage | undefined {
  return (
    measured.find((stage) => stage.key === key) ??
    measured.find((stage) => stage.name === name && stage.command === command.name)
  );
}

/** Finished stages of this pipeline, of pipelines below it (seeds) and of pipelines beside it. */
async function measuredStages({ out }: Plan): Promise<PipelineStage[]> {
  const folders = [out, ...foldersIn(out), ...foldersIn(dirname(out))];
  const pipelines = await Promise.all(folders.map(readPipelineIfThere));
  const isFinished = ({ status }: PipelineStage) => status === 'done' || status === 'unchanged';
  return pipelines.flatMap((pipeline) => pipeline?.stages.filter(isFinished) ?? []);
}

function foldersIn(parent: string): string[] {
  try {
    return readdirSync(parent).map((name) => join(parent, name));
  } catch {
    return [];
  }
}

class RoughModel {
  private readonly plan: Plan;
  private readonly given: ReadonlyMap<string, ModelSizes>;

  /** @param given of the recipe's models, by name */
  constructor(plan: Plan, given: ReadonlyMap<string, ModelSizes>) {
    this.plan = plan;
    this.given = given;
  }

  /** Time = arithmetic / its usual rate; memory = weights, moments and the activations of a micro-batch. */
  forecast(stage: PlannedStage, sizes: ModelSizes | undefined): Forecast {
    if (!sizes) return { seconds: makingSeconds(stage), memoryBytes: programBytes, basis: 'estimated' };
    const { parameters } = sizes;
    const adapter = adapterOf(stage, sizes);
    const { trained, frozen, passes } = modelsOf(stage, adapter !== undefined);
    const { completions, read, learnt } = this.workOf(stage);
    // A frozen base passes gradients on and has none of its own.
    const perToken = adapter === undefined ? 6 : 4;
    const training = (parameters * (perToken * trained * learnt + 2 * passes * read)) / trainingFlops;
    const sampling = (2 * parameters * completions * tokensPerCompletion) / samplingFlops;
    // Adapters stand on one base, which no optimiser has states of.
    const bases = adapter === undefined || trained === 0 ? frozen : frozen + 1;
    const weights = 4 * (8 * trained * (adapter ?? parameters) + 3 * bases * parameters);
    const memoryBytes = engineBytes + weights + activationBytes(stage, sizes);
    return { seconds: startSeconds + training + sampling, memoryBytes, basis: 'estimated' };
  }

  /** Completions that are generated; tokens of what is read as a whole and of what is learnt from, by each model. */
  private workOf(stage: PlannedStage): { completions: number; read: number; learnt: number } {
    const number = (option: string, otherwise = 1) => numberOf(stage, option, otherwise);
    const { command, options } = stage;
    const { textsPerRow = 1, generates } = command.work;
    const rowTokens = tokensOfRow(stage);
    const rows = (this.rowsOf(stage) * textsPerRow * tokensPerText) / rowTokens;
    const most = number('maxSteps', Number.POSITIVE_INFINITY) * number('batchSize');
    const used = Math.min(rows * number('epochs') * number('rounds'), most);
    if (!generates) return { completions: 0, read: rows * rowTokens, learnt: used * rowTokens };
    // An online method completes a prompt anew in every epoch, and learns from all of its completions.
    const isOnline = generates === 'online';
    const asked = isOnline ? used : rows * number('rounds');
    const completions = asked * (command.work.completions?.(options) ?? 1);
    const learnt = isOnline ? completions * (command.work.passes?.(options) ?? 1) : used;
    return { completions, read: completions * tokensPerText, learnt: learnt * tokensPerText };
  }

  /** Of the model that a stage reads or makes; undefined where it has none. */
  sizesOf(stage: PlannedStage): ModelSizes | undefined {
    const [name] = namesReferredTo(stage.words.model);
    if (name === undefined) return this.newModelSizes(stage);
    const maker = this.stageNamed(name);
    if (!maker) return this.given.get(name);
    const sizes = this.sizesOf(maker);
    const { makesWholeModel } = maker.command.work;
    return sizes && { ...sizes, adapterParameters: makesWholeModel ? undefined : adapterOf(maker, sizes) };
  }

  /** Of a model that the stage makes. */
  private newModelSizes(stage: PlannedStage): ModelSizes | undefined {
    const tokenizer = this.stageNamed(namesReferredTo(stage.words.tokenizer)[0]);
    return sizesOfNewModel(stage.options, tokenizer?.options.vocabularySize);
  }

  /** Rows of a stage's data: of its files, or as many as their maker's options say. */
  private rowsOf(stage: PlannedStage): number {
    const paths = textsOf(stage.options.data);
    const counts = textsOf(stage.words.data).map((written, i) => this.rowsIn(written, paths[i]));
    return counts.reduce((sum, count) => sum + count, 0) || unknownRows;
  }

  private rowsIn(written: string, path: string): number {
    if (existsSync(path)) return linesOf(path);
    const maker = this.stageNamed(namesReferredTo(written)[0]);
    if (!maker) return unknownRows;
    const stem = basename(written).replace(/\.\w+$/, '');
    const { makes } = maker.command.work;
    const rows = this.rowsOf(maker);
    return makes?.(maker.options, rows)[stem] ?? rows;
  }

  private stageNamed(name: string | undefined): PlannedStage | undefined {
    return this.plan.stages.find((stage) => stage.name === name);
  }
}

/** Parameters of the adapter that a stage trains or reads; undefined where it has none. */
function adapterOf({ options }: PlannedStage, sizes: ModelSizes): number | undefined {
  return adapterParametersOf(options, sizes) ?? sizes.adapterParameters;
}

/**
 * Models that learn and models that do not; passes over whole texts besides training. Over an adapter a model without a
 * name is its base, which is there already.
 */
function modelsOf(
  { command, options }: PlannedStage,
  hasAdapter: boolean,
): { trained: number; frozen: number; passes: number } {
  const held = modelsHeld(command, options);
  const isOwn = (use: HeldModels) => !hasAdapter || use.weights === 'trained' || use.named.length > 0;
  const count = (weights: string) =>
    held.filter((use) => use.weights === weights && isOwn(use)).reduce((sum, use) => sum + use.count, 0);
  const passes = held.reduce((sum, use) => sum + use.count * (use.passes ?? 0), 0);
  return { trained: count('trained'), frozen: count('frozen'), passes };
}

function makingSeconds({ command, options }: PlannedStage): number {
  const rows = Object.values(command.work.makes?.(options, 0) ?? {});
  return startSeconds + rows.reduce((sum, count) => sum + count, 0) / madeRowsPerSecond;
}

/** What stands in a batch as one row: a window of text, or the row's texts. */
function tokensOfRow(stage: PlannedStage): number {
  return numberOf(stage, 'windowLength', (stage.command.work.textsPerRow ?? 1) * tokensPerText);
}

function numberOf(stage: PlannedStage, option: string, otherwise: number): number {
  const value = stage.options[option];
  return typeof value === 'number' ? value : otherwise;
}

/** About thirty values a position, layer and unit of width are kept for the reverse pass, and the logits twice. */
function activationBytes(stage: PlannedStage, { layers, hiddenSize, vocabularySize }: ModelSizes): number {
  const rowsAtOnce = numberOf(stage, 'miniBatchSize', numberOf(stage, 'batchSize', 1));
  const positions = Math.min(numberOf(stage, 'microBatchTokens', 0), rowsAtOnce * tokensOfRow(stage));
  return 4 * positions * (30 * layers * hiddenSize + 2 * vocabularySize);
}

/** @throws FormatError for a config.json that is none */
async function givenSizes({ models }: Plan): Promise<Map<string, ModelSizes>> {
  const sizes = new Map<string, ModelSizes>();
  for (const [name, folder] of models) sizes.set(name, await sizesOfModel(folder));
  return sizes;
}

function linesOf(path: string): number {
  if (!statSync(path).isFile()) return unknownRows;
  return readFileSync(path).reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0);
}
