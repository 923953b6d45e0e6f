// What a stage will take: as measured when a stage of this name and command ran before, here or in a pipeline beside this
// one; otherwise by a rough model of the work. docs/recipes.md describes the model; forecast.test.ts holds it to what the
// shipped recipes took.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ModelConfig } from '../../language/model/config.ts';
import { parseModelConfig } from '../../language/model/config-json.ts';
import { countParameters } from '../../language/model/parameters.ts';
import { readJsonFile } from '../../language/read-file.ts';
import { type PipelineStage, readPipelineIfThere } from './pipeline-file.ts';
import type { Plan, PlannedStage } from './plan-pipeline.ts';
import { namesReferredTo, textsOf } from './references.ts';
import { hasOption } from './stage-command.ts';

export interface Forecast {
  /** Of the stage's model, where that is known. */
  parameters?: number;
  seconds: number;
  memoryBytes: number;
  basis: 'measured' | 'estimated';
}

/** What determines a model's size. */
interface Sizes {
  layers: number;
  hiddenSize: number;
  vocabularySize: number;
  parameters: number;
}

// The rough model's numbers, for two cores.
const trainingFlops = 1.1e11;
const samplingFlops = 4e10;
const startSeconds = 3;
const madeRowsPerSecond = 10_000;
/** Of an answer with its prompt, of a demonstration, of a document; and of an answer alone. */
const tokensPerText = 130;
const tokensPerAnswer = 70;
/** Where neither the options nor the data tell. */
const unknownRows = 1000;
/** Pairs that are neither a tie nor twice the same text. */
const decidedShare = 0.75;
const programBytes = 250e6;
/** With an engine process that has a model. */
const engineBytes = 450e6;

/** Models that a command trains and models that it only reads; passes over whole texts besides training. */
interface Models {
  trained: number;
  frozen: number;
  passes: number;
}
const modelsOfCommand: Readonly<Record<string, Models>> = {
  pretrain: { trained: 1, frozen: 0, passes: 0 },
  sft: { trained: 1, frozen: 0, passes: 0 },
  reward: { trained: 1, frozen: 0, passes: 0 },
  // By the reference, which is the policy as it was.
  dpo: { trained: 1, frozen: 0, passes: 1 },
  // By the reward model.
  reject: { trained: 1, frozen: 1, passes: 1 },
  // Policy and critic learn; reference and reward model do not; all four judge the answers.
  ppo: { trained: 2, frozen: 2, passes: 4 },
  label: { trained: 0, frozen: 1, passes: 0 },
  // Sampling is no pass; reference and reward model read the answers where they are named.
  eval: { trained: 0, frozen: 1, passes: 0 },
};
/** Options that name more models to read texts with. */
const moreModels: Readonly<Record<string, readonly string[]>> = {
  eval: ['reference', 'reward'],
  ppo: ['ensemble'],
};
const oneModel: Models = { trained: 0, frozen: 1, passes: 1 };

/** Rows of a file that `kata` makes, by the file's stem. */
const madeRows: Readonly<Record<string, string>> = {
  instructions: 'instructions',
  prompts: 'prompts',
  'held-out': 'problems',
  'held-out-coaching': 'coaching',
  corpus: 'documents',
};

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
  private readonly given: ReadonlyMap<string, Sizes>;

  /** @param given of the recipe's models, by name */
  constructor(plan: Plan, given: ReadonlyMap<string, Sizes>) {
    this.plan = plan;
    this.given = given;
  }

  /** Time = arithmetic / its usual rate; memory = weights, moments and the activations of a micro-batch. */
  forecast(stage: PlannedStage, sizes: Sizes | undefined): Forecast {
    if (!sizes) return { seconds: makingSeconds(stage), memoryBytes: programBytes, basis: 'estimated' };
    const { trained, frozen, passes } = modelsOf(stage);
    const { parameters } = sizes;
    const { answers, read, learnt } = this.workOf(stage);
    const training = (parameters * (6 * trained * learnt + 2 * passes * read)) / trainingFlops;
    const sampling = (2 * parameters * answers * tokensPerAnswer) / samplingFlops;
    const weights = 4 * parameters * (8 * trained + 3 * frozen);
    const memoryBytes = engineBytes + weights + activationBytes(stage, sizes);
    return { seconds: startSeconds + training + sampling, memoryBytes, basis: 'estimated' };
  }

  /** Answers that are sampled; tokens of what is read as a whole and of what is learnt from, by each model. */
  private workOf(stage: PlannedStage): { answers: number; read: number; learnt: number } {
    const number = (option: string, otherwise = 1) => numberOf(stage, option, otherwise);
    const rowTokens = tokensOfRow(stage);
    const rows = (this.rowsOf(stage) * textsPerRow(stage) * tokensPerText) / rowTokens;
    const most = number('maxSteps', Number.POSITIVE_INFINITY) * number('batchSize');
    const used = Math.min(rows * number('epochs') * number('rounds'), most);
    if (!hasOption(stage.command, 'maxTokens')) {
      return { answers: 0, read: rows * rowTokens, learnt: used * rowTokens };
    }
    // PPO answers a prompt anew in every epoch, and learns from all of its answers.
    const isOnline = hasOption(stage.command, 'ppoEpochs');
    const asked = isOnline ? used : rows * number('rounds');
    const answers = asked * number('answers') * number('samples');
    const learnt = isOnline ? answers * number('ppoEpochs') : used;
    return { answers, read: answers * tokensPerText, learnt: learnt * tokensPerText };
  }

  /** Of the model that a stage reads or makes; undefined where it has none. */
  sizesOf(stage: PlannedStage): Sizes | undefined {
    const [name] = namesReferredTo(stage.words.model);
    if (name === undefined) return this.newModelSizes(stage);
    const maker = this.stageNamed(name);
    return maker ? this.sizesOf(maker) : this.given.get(name);
  }

  /** Of a model that `pretrain` makes, with an MLP of twice the attention's weights. */
  private newModelSizes(stage: PlannedStage): Sizes | undefined {
    const { layers, hiddenSize } = stage.options;
    const tokenizer = this.stageNamed(namesReferredTo(stage.words.tokenizer)[0]);
    const vocabularySize = tokenizer?.options.vocabularySize;
    if (typeof layers !== 'number' || typeof hiddenSize !== 'number' || typeof vocabularySize !== 'number') {
      return undefined;
    }
    const parameters = vocabularySize * hiddenSize + 12 * layers * hiddenSize ** 2;
    return { layers, hiddenSize, vocabularySize, parameters };
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
    const promised = maker.options[madeRows[stem]];
    if (typeof promised === 'number') return promised;
    return this.rowsOf(maker) * (stem === 'preferences' ? pairsOf(maker) : 1);
  }

  private stageNamed(name: string | undefined): PlannedStage | undefined {
    return this.plan.stages.find((stage) => stage.name === name);
  }
}

function modelsOf({ command: { name }, options }: PlannedStage): Models {
  const { trained, frozen, passes } = modelsOfCommand[name] ?? oneModel;
  const more = (moreModels[name] ?? []).flatMap((option) => textsOf(options[option])).length;
  return { trained, frozen: frozen + more, passes: passes + more };
}

/** Decided pairs of a prompt's answers. */
function pairsOf(stage: PlannedStage): number {
  const answers = numberOf(stage, 'answers', 2);
  return decidedShare * numberOf(stage, 'pairs', (answers * (answers - 1)) / 2);
}

function makingSeconds(stage: PlannedStage): number {
  const rows = Object.values(madeRows).map((option) => numberOf(stage, option, 0));
  return startSeconds + rows.reduce((sum, count) => sum + count, 0) / madeRowsPerSecond;
}

/** A pair is two answers, each with the prompt. */
function textsPerRow({ command }: PlannedStage): number {
  return command.name === 'reward' || command.name === 'dpo' ? 2 : 1;
}

/** What stands in a batch as one row: a window of text, or the row's texts. */
function tokensOfRow(stage: PlannedStage): number {
  return numberOf(stage, 'windowLength', textsPerRow(stage) * tokensPerText);
}

function numberOf(stage: PlannedStage, option: string, otherwise: number): number {
  const value = stage.options[option];
  return typeof value === 'number' ? value : otherwise;
}

/** About thirty values a position, layer and unit of width are kept for the reverse pass, and the logits twice. */
function activationBytes(stage: PlannedStage, { layers, hiddenSize, vocabularySize }: Sizes): number {
  const rowsAtOnce = numberOf(stage, 'miniBatchSize', numberOf(stage, 'batchSize', 1));
  const positions = Math.min(numberOf(stage, 'microBatchTokens', 0), rowsAtOnce * tokensOfRow(stage));
  return 4 * positions * (30 * layers * hiddenSize + 2 * vocabularySize);
}

/** @throws FormatError for a config.json that is none */
async function givenSizes({ models }: Plan): Promise<Map<string, Sizes>> {
  const sizes = new Map<string, Sizes>();
  for (const [name, folder] of models) sizes.set(name, await sizesIn(folder));
  return sizes;
}

async function sizesIn(folder: string): Promise<Sizes> {
  const path = join(folder, 'config.json');
  const config: ModelConfig = parseModelConfig(await readJsonFile(path), path);
  const { layers, hiddenSize, vocabularySize } = config;
  return { layers, hiddenSize, vocabularySize, parameters: countParameters(config) };
}

function linesOf(path: string): number {
  if (!statSync(path).isFile()) return unknownRows;
  return readFileSync(path).reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0);
}
