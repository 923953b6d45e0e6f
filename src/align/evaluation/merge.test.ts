import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { loadModel, saveModel } from '../../language/checkpoint/checkpoint.ts';
import { hashFolder } from '../../language/checkpoint/commit.ts';
import { type Adapter, adapterSpecs, targetModules } from '../../language/model/adapter.ts';
import { saveTinyModel, tinyConfig } from '../run/testing/tiny-run.ts';
import { sequenceLogProbs } from '../scoring/sequences.ts';
import { merge } from './merge.ts';

let root: string;
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-merge-'));
});
afterAll(() => rmSync(root, { recursive: true }));

describe('merging', () => {
  it('makes a whole model that says the same and names what it was made from', async () => {
    const base = await saveTinyModel(join(root, 'base'), tinyConfig('gpt2'));
    const adapter: Adapter = {
      ...{ rank: 3, alpha: 6, isRankStabilised: true, dropout: 0 },
      modules: targetModules(base.config, ['mlp', 'c_attn']),
    };
    const drawn = adapterSpecs(base.config, adapter).map(({ name, shape: [rows, columns] }) => {
      return [name, Float32Array.from({ length: rows * columns }, (_, i) => 0.1 * Math.sin(i * i))] as const;
    });
    const sha256 = await hashFolder(join(root, 'base'));
    await saveModel(join(root, 'adapter'), {
      ...{ ...base, kind: 'policy', adapter, parameters: new Map([...base.parameters, ...drawn]) },
      base: { path: join(root, 'base'), sha256 },
    });
    const out = join(root, 'whole');
    expect(await merge({ model: join(root, 'adapter'), out })).toEqual({ out, modules: 6 });

    const [adapted, whole] = [await loadModel(join(root, 'adapter')), await loadModel(out)];
    expect(readdirSync(out)).toContain('config.json');
    expect(whole.kind).toBe('policy');
    expect(whole.tokenizerFiles).toEqual(adapted.tokenizerFiles);
    expect(whole.lineage?.parents.map((parent) => parent.sha256)).toEqual([
      await hashFolder(join(root, 'adapter')),
      sha256,
    ]);
    const ids = Int32Array.from([5, 9, 2, 40, 17, 8]);
    const rows = [{ ids, isTrained: new Uint8Array(6).fill(1), source: { file: '', line: 0 } }];
    const logProb = async (model: typeof whole) =>
      (await sequenceLogProbs(await openBackend({ threads: 1 }), model, rows, { batchTokens: 64 }))[0];
    const [expected, found, bare] = [await logProb(adapted), await logProb(whole), await logProb(base)];
    expect(Math.abs(found - expected)).toBeLessThan(1e-4);
    expect(Math.abs(bare - expected)).toBeGreaterThan(1e-2);
  });

  it('refuses a whole model', async () => {
    await saveTinyModel(join(root, 'plain'));
    await expect(merge({ model: join(root, 'plain'), out: join(root, 'none') })).rejects.toThrow(
      /expected a model with an adapter \(adapter_config\.json\), got a whole model/,
    );
  });
});
