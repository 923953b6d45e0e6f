// What a model gives for a batch that is laid out: statistics of every trained token, their sums over completions, the
// scalar head at every trained token or at a row's end. The same graphs train and score.

import { input, matmul, reshape } from '../../engine/graph/build.ts';
import type { Outputs } from '../../engine/graph/simplify.ts';
import type { Tensor } from '../../engine/graph/tensor.ts';
import { type Backend, type Feeds, joined, type TensorData } from '../../engine/runtime/backend.ts';
import { ProgramCache } from '../../engine/runtime/program-cache.ts';
import type { ModelConfig } from '../../language/model/config.ts';
import type { PassRows } from '../../language/model/dropout.ts';
import type { Parameters } from '../../language/model/forward.ts';
import {
  type TargetStatistics,
  targetStatistics,
  windowInputs,
  windowStates,
} from '../../language/model/full-pass.ts';
import { scalarHead } from '../../language/model/scalar-head.ts';
import { structureOf, type Weights, weightFeeds, weightInputs } from '../../language/model/weights.ts';
import {
  type CompletionBatch,
  type CompletionGroup,
  type Layout,
  padded,
  passRows,
  slotOf,
} from './layout.ts';

/** Statistics of each trained token, every tensor [M]; `layout.feeds` are its inputs. */
export function tokenStatistics(
  config: ModelConfig,
  parameters: Parameters,
  layout: Layout,
  temperature = 1,
): TargetStatistics {
  const hidden = trainedStates(config, parameters, layout);
  const targets = input('targets', [layout.size], 'int');
  return targetStatistics(config, parameters, hidden, targets, temperature);
}

/** The value model's prediction before each trained token, [M]; `layout.feeds` are its inputs. */
export function tokenValues(config: ModelConfig, parameters: Parameters, layout: Layout): Tensor {
  return scalarHead(parameters, trainedStates(config, parameters, layout));
}

/** Final states before each trained token, [M, D]. */
function trainedStates(config: ModelConfig, parameters: Parameters, layout: Layout): Tensor {
  return windowStates(config, parameters, windowInputs(layout), input('sources', [layout.size], 'int'));
}

/** The scalar head at places that are fed as `places` [count], [count]. */
function scoresAt(config: ModelConfig, parameters: Parameters, layout: Layout, count: number): Tensor {
  const places = input('places', [count], 'int');
  return scalarHead(parameters, windowStates(config, parameters, windowInputs(layout), places));
}

/** A graph over the completions of a batch, and what it is fed. Heads of one key have the same graph. */
export interface CompletionHead {
  key: string;
  rows: PassRows;
  feeds: () => Feeds;
  /** @returns [K·B]; arbitrary but finite in empty slots */
  graph: (config: ModelConfig, parameters: Parameters) => Tensor;
}

/** Σ log π of each completion's trained tokens, nats; 0 in empty slots. */
export function completionLogProbs<Group extends CompletionGroup>(
  batch: CompletionBatch<Group>,
): CompletionHead {
  const { tokens, shape } = batch;
  const [S, M] = [shape.K * shape.B, tokens.size];
  return {
    key: `${tokens.key}, ${shape.K}×${shape.B}`,
    rows: passRows(tokens, M),
    feeds() {
      const membership = new Float32Array(S * M);
      tokens.owners.forEach((owner, target) => {
        membership[slotOf(batch, owner) * M + target] = 1;
      });
      return joined(tokens.feeds, { membership });
    },
    graph(config, parameters) {
      const { logProbs } = tokenStatistics(config, parameters, tokens);
      return reshape(matmul(input('membership', [S, M]), reshape(logProbs, [M, 1])), [S]);
    },
  };
}

/** The scalar head at each completion's last token; at the first token of all in empty slots. */
export function completionScores<Group extends CompletionGroup>(
  batch: CompletionBatch<Group>,
): CompletionHead {
  const { tokens, shape } = batch;
  const places = new Int32Array(shape.K * shape.B);
  tokens.lastPlaces.forEach((place, row) => {
    places[slotOf(batch, row)] = place;
  });
  return {
    key: `${tokens.windowKey}, ${shape.K}×${shape.B}`,
    rows: passRows(tokens, places.length),
    feeds: () => joined(tokens.feeds, { places }),
    graph: (config, parameters) => scoresAt(config, parameters, tokens, places.length),
  };
}

/** Passes without gradients, of models of one configuration. */
export class TokenPasses {
  private readonly backend: Backend;
  private readonly held = new Map<Weights, Feeds>();
  private readonly programs: ProgramCache;

  constructor(backend: Backend) {
    this.backend = backend;
    this.programs = new ProgramCache(backend);
  }

  /** nats, [M] each */
  async logProbs(
    layout: Layout,
    model: Weights,
    temperature: number,
  ): Promise<{ logProbs: TensorData; entropy: TensorData }> {
    const key = `log-probabilities and entropies at ${temperature}, ${layout.key}`;
    const { logProbs, entropy } = await this.run(key, model, layout.feeds, (parameters) => {
      const { logProbs, entropy } = tokenStatistics(model.config, parameters, layout, temperature);
      return { logProbs, entropy };
    });
    return { logProbs, entropy };
  }

  /** [M] */
  async values(layout: Layout, model: Weights): Promise<TensorData> {
    const { values } = await this.run(`values, ${layout.key}`, model, layout.feeds, (parameters) => {
      return { values: tokenValues(model.config, parameters, layout) };
    });
    return values;
  }

  /** Log-probabilities alone: nats, [M]. */
  async targetLogProbs(layout: Layout, model: Weights, temperature = 1): Promise<TensorData> {
    const key = `log-probabilities at ${temperature}, ${layout.key}`;
    const { logProbs } = await this.run(key, model, layout.feeds, (parameters) => {
      return { logProbs: tokenStatistics(model.config, parameters, layout, temperature).logProbs };
    });
    return logProbs;
  }

  /** The scalar head at the places, and at the first place up to `size`. */
  async scores(layout: Layout, model: Weights, places: readonly number[], size: number): Promise<TensorData> {
    const feeds = joined(layout.feeds, { places: padded(places, size) });
    const key = `scores at ${size} places, ${layout.windowKey}`;
    const { scores } = await this.run(key, model, feeds, (parameters) => {
      return { scores: scoresAt(model.config, parameters, layout, size) };
    });
    return scores;
  }

  private async run(
    key: string,
    model: Weights,
    feeds: Feeds,
    graph: (parameters: Parameters) => Outputs,
  ): Promise<Record<string, TensorData>> {
    const program = await this.programs.get(`${key}, ${structureOf(model)}`, () =>
      graph(weightInputs(model)),
    );
    return program.run(joined(await this.weightsOf(model), feeds));
  }

  /** A model is held by the backend from its first pass on. */
  private async weightsOf(model: Weights): Promise<Feeds> {
    const known = this.held.get(model);
    if (known) return known;
    const weights = weightFeeds(model);
    await this.backend.hold(Object.values(weights));
    this.held.set(model, weights);
    return weights;
  }

  async release(): Promise<void> {
    for (const weights of this.held.values()) this.backend.drop(Object.values(weights));
    this.held.clear();
    await this.programs.release();
  }
}
