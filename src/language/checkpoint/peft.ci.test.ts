// PEFT itself loads what saveModel wrote of an adapter. Runs only where HEED_PEER_PYTHON names a Python that has it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { interpret } from '../../engine/runtime/reference.ts';
import { type Adapter, adapterSpecs, targetModules } from '../model/adapter.ts';
import { parseModelConfig } from '../model/config-json.ts';
import { outputLogits } from '../model/forward.ts';
import { windowInputs, windowStates } from '../model/full-pass.ts';
import { initialParameter, parameterSpecs } from '../model/parameters.ts';
import { scalarHead } from '../model/scalar-head.ts';
import { expectNear } from '../model/testing/golden.ts';
import { weightFeeds, weightInputs } from '../model/weights.ts';
import { type CheckpointKind, loadModel, type Model, saveModel } from './checkpoint.ts';
import { hashFolder } from './commit.ts';
import { mergeAdapter } from './merge.ts';

const python = process.env.HEED_PEER_PYTHON;

const sizes = {
  ...{ vocab_size: 40, hidden_size: 32, intermediate_size: 24, num_hidden_layers: 2 },
  ...{ num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 64 },
  ...{ tie_word_embeddings: true, pad_token_id: 0 },
};
const gpt2 = {
  ...{ model_type: 'gpt2', vocab_size: 40, n_embd: 32, n_layer: 2, n_head: 4, n_positions: 64 },
  pad_token_id: 0,
};

interface Case {
  config: object;
  kind: CheckpointKind;
  targets: string[];
  isRankStabilised: boolean;
}

const cases: Record<string, Case> = {
  'a llama': {
    ...{ config: { model_type: 'llama', ...sizes }, kind: 'policy', targets: ['all-linear'] },
    isRankStabilised: false,
  },
  'a gpt2': { config: gpt2, kind: 'policy', targets: ['all-linear'], isRankStabilised: false },
  'a rank-stabilised qwen2': {
    ...{ config: { model_type: 'qwen2', ...sizes }, kind: 'policy', targets: ['q_proj', 'v_proj'] },
    isRankStabilised: true,
  },
  'a qwen3, its attention alone': {
    ...{ config: { model_type: 'qwen3', ...sizes, head_dim: 16 }, kind: 'policy', targets: ['attention'] },
    isRankStabilised: false,
  },
  'a reward model': {
    ...{ config: { model_type: 'llama', ...sizes }, kind: 'reward', targets: ['all-linear'] },
    isRankStabilised: false,
  },
};

/** Prints logits (or scores) of the ids under the adapter and merged, what was not loaded, and saves the adapter again. */
const reader = `
import sys, json, warnings, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
base, adapter, target, kind, ids = sys.argv[1:]
ids = torch.tensor([json.loads(ids)])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    if kind == 'reward': model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=torch.float32)
    else: model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, adapter).double().eval()
with torch.no_grad(): logits = model(input_ids=ids).logits.flatten().tolist()
model.float().save_pretrained(target)
with torch.no_grad(): merged = model.double().merge_and_unload()(input_ids=ids).logits.flatten().tolist()
print(json.dumps(dict(logits=logits, merged=merged, warnings=[str(w.message) for w in caught if 'adapter' in str(w.message)])))
`;

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'heed-peft-'));
});
afterAll(() => rmSync(root, { recursive: true }));

function readWithPeft(...args: string[]): { logits: number[]; merged: number[]; warnings: string[] } {
  const out = execFileSync(python as string, ['-c', reader, ...args], {
    encoding: 'utf8',
    env: { ...process.env, HF_HUB_OFFLINE: '1' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return JSON.parse(out.trim().split('\n').at(-1) as string);
}

const drawn = (size: number, seed: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => 0.2 * Math.sin(1 + 7.3 * seed + 1.7 * i + 0.01 * i * i));

/** A base in a folder, and over it an adapter that changes something. */
async function saveBoth(folder: string, { config: json, kind, ...given }: Case): Promise<Model> {
  const config = parseModelConfig(json, 'config.json');
  const base: Model = {
    ...{ config, kind: 'base' },
    parameters: new Map(
      parameterSpecs(config).map((spec, i) => [spec.name, initialParameter(spec, config, 3, i)]),
    ),
  };
  await saveModel(join(folder, 'base'), base);
  const adapter: Adapter = {
    ...{ rank: 4, alpha: 6, dropout: 0, isRankStabilised: given.isRankStabilised },
    modules: targetModules(config, given.targets),
  };
  const parameters = new Map(base.parameters);
  for (const [i, { name, shape }] of adapterSpecs(config, adapter).entries()) {
    parameters.set(name, drawn(shape[0] * shape[1], i));
  }
  if (kind === 'reward') parameters.set('score.weight', drawn(config.hiddenSize, 99));
  const path = join(folder, 'base');
  const model: Model = { config, kind, parameters, adapter, base: { path, sha256: await hashFolder(path) } };
  await saveModel(join(folder, 'ours'), model);
  return model;
}

const ids = Array.from({ length: 17 }, (_, i) => 1 + ((7 * i) % 39));

/** Logits of all ids, or the score at the last, through float64 arithmetic. */
function answersOf(model: Model): ArrayLike<number> {
  const parameters = weightInputs(model);
  const hidden = windowStates(model.config, parameters, windowInputs({ windows: 1, length: ids.length }));
  const outputs =
    model.kind === 'reward'
      ? { answers: scalarHead(parameters, hidden) }
      : { answers: outputLogits(model.config, parameters, hidden) };
  const { answers } = interpret(outputs, {
    ...weightFeeds(model),
    tokens: Int32Array.from(ids),
    positions: Int32Array.from(ids.keys()),
    segments: new Int32Array(ids.length),
  });
  return model.kind === 'reward' ? [answers[ids.length - 1]] : answers;
}

describe.skipIf(!python)('PEFT (skipped where HEED_PEER_PYTHON is not set)', () => {
  test.each(Object.entries(cases))(
    'computes what heed does of an adapter over %s, and heed reads what it then saves',
    { timeout: 180_000 },
    async (name, given) => {
      const folder = join(root, name.replaceAll(' ', '-'));
      const model = await saveBoth(folder, given);
      const [base, ours, theirs] = ['base', 'ours', 'theirs'].map((each) => join(folder, each));
      const read = readWithPeft(base, ours, theirs, model.kind, JSON.stringify(ids));
      expect(read.warnings).toEqual([]);
      const { adapter: _, ...bare } = model;
      const size = Math.max(...read.logits.map(Math.abs));
      const shift = Math.max(...Array.from(answersOf(bare), (value, i) => Math.abs(value - read.logits[i])));
      expect(shift).toBeGreaterThan(0.01 * size);
      expectNear(answersOf(model), read.logits, 1e-4);
      expectNear(answersOf(mergeAdapter(model)), read.merged, 1e-4);
      const back = await loadModel(theirs, { base: await loadModel(base) });
      expect(back.kind).toBe(model.kind);
      expect(back.adapter).toEqual(model.adapter);
      expect(back.parameters).toEqual(model.parameters);
    },
  );
});
