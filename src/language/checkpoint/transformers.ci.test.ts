// Transformers itself reads what saveModel wrote. Runs only where HEED_PEER_PYTHON names a Python that has it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { parseModelConfig } from '../model/config-json.ts';
import { outputLogits } from '../model/forward.ts';
import { windowInputs, windowStates } from '../model/full-pass.ts';
import { initialParameter, parameterSpecs } from '../model/parameters.ts';
import { baseInputs } from '../model/testing/base-inputs.ts';
import { expectNear } from '../model/testing/golden.ts';
import { loadModel, type Model, saveModel } from './checkpoint.ts';

const python = process.env.HEED_PEER_PYTHON;

const sizes = {
  vocab_size: 40,
  hidden_size: 32,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  bos_token_id: 1,
  eos_token_id: [2, 3],
};
const llama = { model_type: 'llama', ...sizes };
const gpt2 = { model_type: 'gpt2', vocab_size: 40, n_embd: 32, n_layer: 2, n_head: 4, n_positions: 16 };
const length = { original_max_position_embeddings: 16 };

const cases: Record<string, object> = {
  'llama, tied': { ...llama, tie_word_embeddings: true },
  'llama, untied, with biases': { ...llama, attention_bias: true, mlp_bias: true },
  'llama, linear': { ...llama, rope_scaling: { type: 'linear', factor: 4 } },
  'llama, llama3': {
    ...llama,
    rope_theta: 5e5,
    rope_scaling: { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, ...length },
  },
  'llama, yarn': { ...llama, rope_parameters: { rope_type: 'yarn', rope_theta: 2e4, factor: 4, ...length } },
  qwen2: { ...llama, model_type: 'qwen2', tie_word_embeddings: true },
  'qwen2, yarn': { ...llama, model_type: 'qwen2', rope_scaling: { type: 'yarn', factor: 4, ...length } },
  qwen3: { ...llama, model_type: 'qwen3', head_dim: 16 },
  'qwen3 with attention biases': { ...llama, model_type: 'qwen3', head_dim: 16, attention_bias: true },
  gpt2,
  'gpt2, untied, plain gelu': { ...gpt2, tie_word_embeddings: false, activation_function: 'gelu' },
};

/** Prints what was read of each parameter, what did not match, and the rotary frequencies; then saves it again. */
const reader = `
import sys, json, logging, io, torch, transformers
warnings = io.StringIO()
transformers.utils.logging.disable_default_handler()
transformers.utils.logging.add_handler(logging.StreamHandler(warnings))
kind, source, target = sys.argv[1:]
cls = getattr(transformers, kind)
model, info = cls.from_pretrained(source, output_loading_info=True, dtype=torch.float32)
rotary = getattr(model.base_model, 'rotary_emb', None)
ids = torch.tensor([[(7 * i) % 40 for i in range(min(40, model.config.max_position_embeddings))]])
with torch.no_grad(): logits = model.eval()(input_ids=ids).logits.flatten().tolist()
model.save_pretrained(target)
print(json.dumps({
  'parameters': {k: [list(v.shape), v.double().sum().item(), v.double().abs().sum().item()]
                 for k, v in model.named_parameters()},
  'mismatch': {k: sorted(map(str, v)) for k, v in info.items() if v},
  'frequencies': rotary.inv_freq.tolist() if rotary is not None else None,
  'attention_scaling': getattr(rotary, 'attention_scaling', None),
  'ids': ids[0].tolist(),
  'logits': logits,
  'eos': getattr(getattr(model, 'generation_config', None), 'eos_token_id', None),
  'warnings': warnings.getvalue(),
}))
`;

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'heed-transformers-'));
});
afterAll(() => rmSync(root, { recursive: true }));

function fresh(json: object): Model {
  const config = parseModelConfig(json, 'config.json');
  const parameters = parameterSpecs(config).map((spec, i) => {
    return [spec.name, initialParameter(spec, config, 3, i)] as const;
  });
  return { config, kind: 'base', parameters: new Map(parameters) };
}

function readWithTransformers(kind: string, source: string, target: string) {
  const out = execFileSync(python as string, ['-c', reader, kind, source, target], {
    encoding: 'utf8',
    env: { ...process.env, HF_HUB_OFFLINE: '1' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return JSON.parse(out.trim().split('\n').at(-1) as string);
}

async function logitsOf({ config, parameters }: Model, ids: number[]) {
  const inputs = baseInputs(config);
  const hidden = windowStates(config, inputs, windowInputs({ windows: 1, length: ids.length }));
  const backend = await openBackend({ threads: 1 });
  const program = await backend.compile({ logits: outputLogits(config, inputs, hidden) });
  const { logits } = await program.run({
    ...Object.fromEntries(parameters),
    tokens: Int32Array.from(ids),
    positions: Int32Array.from(ids.keys()),
    segments: new Int32Array(ids.length),
  });
  await program.release();
  return logits;
}

function expectSameParameters(model: Model, theirs: Record<string, [number[], number, number]>): void {
  expect(Object.keys(theirs).sort()).toEqual([...model.parameters.keys()].sort());
  for (const [name, values] of model.parameters) {
    const [shape, sum, absolute] = theirs[name];
    expect(shape.reduce((product, n) => product * n, 1)).toBe(values.length);
    expect(values.reduce((a, b) => a + b, 0)).toBeCloseTo(sum, 8);
    expect(values.reduce((a, b) => a + Math.abs(b), 0)).toBeCloseTo(absolute, 8);
  }
}

describe.skipIf(!python)('Transformers (skipped where HEED_PEER_PYTHON is not set)', () => {
  test.each(Object.entries(cases))(
    'reads %s, and heed reads what it then saves',
    { timeout: 120_000 },
    async (name, json) => {
      const [ours, theirs] = [join(root, `${name} ours`), join(root, `${name} theirs`)];
      const model = fresh(json);
      await saveModel(ours, model, { maxShardBytes: 12_000 });
      const read = readWithTransformers('AutoModelForCausalLM', ours, theirs);
      expect(read.mismatch).toEqual({});
      expect(read.warnings).toBe('');
      expectSameParameters(model, read.parameters);
      const { positions } = model.config;
      if (positions.kind === 'rotary') expect(read.frequencies[0]).toBeGreaterThan(0);
      if (positions.kind === 'rotary' && positions.scaling.kind === 'yarn') {
        expect(read.attention_scaling).toBe(positions.scaling.attentionFactor);
      }
      if ('eos_token_id' in json) expect(read.eos).toEqual([2, 3]);
      const back = await loadModel(theirs);
      expect(back.config).toEqual(model.config);
      expect(back.parameters).toEqual(model.parameters);
      expectNear(await logitsOf(back, read.ids), read.logits, 1e-4);
    },
  );

  test.each(['llama', 'gpt2'])(
    'reads a %s reward model as a classifier with one label',
    { timeout: 120_000 },
    async (family) => {
      const [ours, theirs] = [join(root, `${family} reward`), join(root, `${family} reward theirs`)];
      const model: Model = {
        ...fresh(family === 'llama' ? { ...llama, tie_word_embeddings: true } : gpt2),
        kind: 'reward',
      };
      model.parameters.set(
        'score.weight',
        Float32Array.from({ length: 32 }, (_, i) => i / 32),
      );
      await saveModel(ours, model);
      const read = readWithTransformers('AutoModelForSequenceClassification', ours, theirs);
      expect(read.mismatch).toEqual({});
      expectSameParameters(model, read.parameters);
      const back = await loadModel(theirs);
      expect(back.kind).toBe('reward');
      expect(back.parameters).toEqual(model.parameters);
    },
  );
});
