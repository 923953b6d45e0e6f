// What a stage will take: as measured when a stage of this name and command ran before, here or in a road beside this
// one; otherwise by a rough model of the work. docs/recipes.md describes the model; it is right to a factor of about
// three.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { ModelConfig } from '../../language/model/config.ts';
import { parseModelConfig } from '../../language/model/config-json.ts';
import { countParameters } from '../../language/model/parameters.ts';
import type { Plan, PlannedStage } from './plan-road.ts';
import { namesReferredTo, textsOf } from './references.ts';
import { type RoadStage, readRoadIfThere } from './road-file.ts';
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
const trainingFlops = 9e10;
const samplingFlops = 1e10;
const startSeconds = 3;
const tokensPerRow = 150;
/** Where neither the options nor the data tell. */
const unknownRows = 1000;
const programBytes = 250e6;

/** Forecasts by the stage's name. */
export async function forecastRoad(plan: Plan): Promise<Map<string, Forecast>> {
  const measured = await measuredStages(plan);
  const rough = new RoughModel(plan);
  return new Map(
    plan.stages.map((stage) => {
      const sizes = rough.sizesOf(stage);
      const parameters = sizes && { parameters: sizes.parameters };
      const known = measuredAs(stage, measured);
      if (!known) return [stage.name, { ...rough.forecast(stage, sizes), ...parameters }];
      const { seconds, peak_memory_bytes } = known;
      return [
        stage.name,
        { seconds: seconds!, memoryBytes: peak_memory_bytes!, basis: 'measured', ...parameters },
      ];
    }),
  );
}

/** The same work before all, then the stage of that name. */
function measuredAs(
  { key, name, command }: PlannedStage,
  measured: readonly RoadStage[],
): RoadStage | undefined {
  return (
    measured.find((stage) => stage.key === key) ??
    measured.find((stage) => stage.name === name && stage.command === command.name)
  );
}

/** Finished stages of this road, of roads below it (seeds) and of roads beside it. */
async function measuredStages({ out }: Plan): Promise<RoadStage[]> {
  const folders = [out, ...foldersIn(out), ...foldersIn(dirname(out))];
  const roads = await Promise.all(folders.map(readRoadIfThere));
  const isFinished = ({ status }: RoadStage) => status === 'done' || status === 'unchanged';
  return roads.flatMap((road) => road?.stages.filter(isFinished) ?? []);
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

  constructor(plan: Plan) {
    this.plan = plan;
  }

  /** Time = arithmetic / its usual rate; memory = weights, moments and the activations of a micro-batch. */
  forecast(stage: PlannedStage, sizes: Sizes | undefined): Forecast {
    const { command } = stage;
    const [trains, samples] = [hasOption(command, 'learningRate'), isSampling(stage)];
    const parameters = sizes?.parameters ?? 0;
    const tokens = this.rowsOf(stage) * tokensPerRow;
    const training = trains ? (6 * parameters * tokens * numberOf(stage, 'epochs', 1)) / trainingFlops : 0;
    const sampling = samples ? (2 * parameters * tokens * answersOf(stage)) / samplingFlops : 0;
    const weights = 4 * parameters * (trains ? 8 : 3);
    const memoryBytes = programBytes + weights + (sizes ? activationBytes(stage, sizes) : 0);
    return { seconds: startSeconds + training + sampling, memoryBytes, basis: 'estimated' };
  }

  /** Of the model that a stage reads or makes; undefined where it has none. */
  sizesOf(stage: PlannedStage): Sizes | undefined {
    const [name] = namesReferredTo(stage.words.model);
    if (name === undefined) return this.newModelSizes(stage);
    const maker = this.stageNamed(name);
    return maker ? this.sizesOf(maker) : sizesIn(this.plan.models.get(name));
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

  /** Rows that a stage works on: of its data's files, or as many as their maker's options say. */
  private rowsOf(stage: PlannedStage): number {
    const { maxSteps, batchSize, steps } = stage.options;
    const updates = maxSteps ?? steps;
    if (typeof updates === 'number') return updates * (typeof batchSize === 'number' ? batchSize : 1);
    const paths = textsOf(stage.options.data);
    const counts = textsOf(stage.words.data).map((written, i) => this.rowsIn(written, paths[i]));
    return counts.reduce((sum, count) => sum + count, 0) || unknownRows;
  }

  private rowsIn(written: string, path: string): number {
    if (existsSync(path)) return linesOf(path);
    const maker = this.stageNamed(namesReferredTo(written)[0]);
    if (!maker) return unknownRows;
    const stem = basename(written).replace(/\.\w+$/, '');
    const promised = maker.options[stem] ?? (stem === 'corpus' ? maker.options.documents : undefined);
    if (typeof promised === 'number') return promised;
    return stem.startsWith('held-out') ? numberOf(maker, 'problems', unknownRows) : this.rowsOf(maker);
  }

  private stageNamed(name: string | undefined): PlannedStage | undefined {
    return this.plan.stages.find((stage) => stage.name === name);
  }
}

function isSampling({ command }: PlannedStage): boolean {
  return ['answers', 'maxTokens', 'rollouts'].some((name) => hasOption(command, name));
}

function answersOf(stage: PlannedStage): number {
  return numberOf(stage, 'answers', 1) * numberOf(stage, 'samples', 1);
}

function numberOf(stage: PlannedStage, option: string, otherwise: number): number {
  const value = stage.options[option];
  return typeof value === 'number' ? value : otherwise;
}

/** About thirty values a position, layer and unit of width are kept for the reverse pass, and the logits twice. */
function activationBytes(stage: PlannedStage, { layers, hiddenSize, vocabularySize }: Sizes): number {
  const positions = numberOf(stage, 'microBatchTokens', 0);
  return 4 * positions * (30 * layers * hiddenSize + 2 * vocabularySize);
}

function sizesIn(folder: string | undefined): Sizes | undefined {
  if (!folder) return undefined;
  const path = join(folder, 'config.json');
  const config: ModelConfig = parseModelConfig(JSON.parse(readFileSync(path, 'utf8')), path);
  const { layers, hiddenSize, vocabularySize } = config;
  return { layers, hiddenSize, vocabularySize, parameters: countParameters(config) };
}

function linesOf(path: string): number {
  if (!statSync(path).isFile()) return unknownRows;
  return readFileSync(path).reduce((count, byte) => count + (byte === 10 ? 1 : 0), 0);
}
