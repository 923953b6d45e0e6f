// Methods that learn from their own completions on WebGPU, wherever an adapter opens: the CPU's completions and weights.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Device } from '../../engine/runtime/backend.ts';
import { reasonToSkip } from '../../engine/runtime/testing/webgpu-adapter.ts';
import { loadModel } from '../../language/checkpoint/checkpoint.ts';
import type { RunEvent } from '../run/events.ts';
import { trainingDefaults } from '../run/testing/tiny-run.ts';
import { grpo } from './grpo.ts';
import { ppo } from './ppo.ts';
import { type RejectOptions, reject } from './reject.ts';
import { rloo } from './rloo.ts';
import { groupDefaults, ppoDefaults, type TinyWorld, tinyWorld } from './testing/tiny-on-policy.ts';

let root: string;
let world: TinyWorld;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-device-'));
  world = await tinyWorld(root, { ending: 6 });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

interface Given {
  model: string;
  data: string[];
  out: string;
  device: Device;
  /** Larger than usual, so that a gradient near 0 does not become a step of its rounding's sign. */
  epsilon: number;
}

const specs = () => ({ reward: [{ module: world.rewards, name: 'vowels' }], watch: [], ensemble: [] });
const lora = { loraRank: 2 };
const twoRounds: Omit<RejectOptions, keyof Given> = {
  ...{ ...trainingDefaults, batchSize: 2, template: 'none', reward: ['…'] },
  ...{ samples: 4, rounds: 2, temperature: 1, maxTokens: 8, generationBatchSize: 32, pick: 'best' },
};

type Context = Parameters<typeof grpo>[1];
const methods: [string, (given: Given, context: Context) => Promise<unknown>][] = [
  ['grpo', (given, context) => grpo({ ...groupDefaults, ...given, maxSteps: 2, specs: specs() }, context)],
  [
    'grpo in mini-batches',
    (given, context) => {
      const passes = { maxSteps: 2, iterations: 2, miniBatchSize: 8 };
      return grpo({ ...groupDefaults, ...given, ...passes, specs: specs() }, context);
    },
  ],
  ['rloo', (given, context) => rloo({ ...groupDefaults, ...given, maxSteps: 2, specs: specs() }, context)],
  ['ppo', (given, context) => ppo({ ...ppoDefaults, ...given, maxSteps: 2, specs: specs() }, context)],
  [
    'ppo with LoRA',
    (given, context) => ppo({ ...ppoDefaults, ...given, ...lora, maxSteps: 2, specs: specs() }, context),
  ],
  ['reject', (given, context) => reject({ ...twoRounds, ...given, specs: specs().reward }, context)],
];

const reason = reasonToSkip();
// A device in software takes up to a minute to compile a method's programs.
describe.skipIf(reason)(`on webgpu${reason && ` (no adapter: ${reason})`}`, { timeout: 300_000 }, () => {
  it.each(methods)('%s makes the model that the CPU makes', async (name, train) => {
    const results = [];
    for (const device of ['cpu', 'webgpu'] as const) {
      const { model, data } = world;
      const out = join(root, `${name}-${device}`);
      const events: RunEvent[] = [];
      const context = { emit: (event: RunEvent) => events.push(event), signal: new AbortController().signal };
      await train({ model, data, out, device, epsilon: 1e-5 }, context);
      const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
      results.push({ warnings, ...(await loadModel(join(out, 'model'))) });
    }
    const [cpu, webgpu] = results;
    const base = await loadModel(world.model);
    expect(webgpu.warnings).toEqual(cpu.warnings);
    let [learnt, error] = [0, 0];
    for (const [tensor, values] of cpu.parameters) {
      const [found, before] = [webgpu.parameters.get(tensor)!, base.parameters.get(tensor)];
      values.forEach((value, i) => {
        learnt = Math.max(learnt, Math.abs(value - (before?.[i] ?? 0)));
        error = Math.max(error, Math.abs(value - found[i]));
      });
    }
    expect(learnt).toBeGreaterThan(1e-3);
    expect(error).toBeLessThan(learnt / 100);
  });
});
