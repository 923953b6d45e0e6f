import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveTinyModel } from '../../align/run/testing/tiny-run.ts';
import { loadModel } from '../../language/checkpoint/checkpoint.ts';
import { memoryOfModels } from './models-held.ts';
import type { Stage } from './stage.ts';
import { stages } from './stages.ts';

let folder: string;
/** Of the model's weights, counted on the arrays themselves. */
let bytes: number;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-memory-'));
  await saveTinyModel(join(folder, 'm'));
  const { parameters } = await loadModel(join(folder, 'm'));
  bytes = [...parameters.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** `role weights gradients optimiser`, in units of the model's weights. */
async function rows(stage: Stage, given: Record<string, unknown>): Promise<string[]> {
  const model = join(folder, 'm');
  const memory = await memoryOfModels(stage, stage.schema.parse({ model, data: ['d'], out: 'o', ...given }));
  return memory.map(({ role, weightsBytes, gradientBytes, optimizerBytes }) =>
    [role, ...[weightsBytes, gradientBytes, optimizerBytes].map((count) => count / bytes)].join(' '),
  );
}

describe('the memory of a stage', () => {
  it('is weights, gradients and two moments for what PPO trains, weights for the rest', async () => {
    const reward = [`${join(folder, 'm')}*0.5`, 'kata:pass', 'mine.js#short*2'];
    expect(await rows(stages.ppo, { reward })).toEqual([
      ...['policy 1 1 2', 'value model 1 1 2', 'reference 1 0 0', 'reward model 1 0 0'],
    ]);
  });

  it('has one frozen base under the adapters of PPO, whose reference is the base itself', async () => {
    const [policy, value, reference, reward] = await memoryOfModels(
      stages.ppo,
      stages.ppo.schema.parse({
        ...{ model: join(folder, 'm'), data: ['d'], out: 'o', loraRank: 2 },
        reward: ['kata:pass'],
      }),
    );
    expect(reward).toBeUndefined();
    const adapter = policy.weightsBytes - bytes;
    expect(adapter).toBeGreaterThan(0);
    expect(adapter).toBeLessThan(bytes / 2);
    const trained = { gradientBytes: adapter, optimizerBytes: 2 * adapter };
    expect(policy).toMatchObject(trained);
    expect(value).toMatchObject({ ...trained, weightsBytes: adapter });
    expect(reference).toMatchObject({ weightsBytes: 0, gradientBytes: 0, optimizerBytes: 0 });
  });

  it("has DPO's reference only where another model is named", async () => {
    expect(await rows(stages.dpo, {})).toEqual(['policy 1 1 2', 'reference 0 0 0']);
    const reference = join(folder, 'm');
    expect(await rows(stages.dpo, { reference })).toEqual(['policy 1 1 2', 'reference 1 0 0']);
  });

  it('leaves out models that an evaluation does not name', async () => {
    expect(await rows(stages.evaluate, {})).toEqual(['policy 1 0 0']);
  });

  it('says of a model that is not there yet only its role', async () => {
    const memory = await memoryOfModels(stages.sft, { model: join(folder, 'later') });
    expect(memory.map(({ role, parameters }) => [role, parameters])).toEqual([['policy', undefined]]);
  });
});
