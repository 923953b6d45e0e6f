import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Adapter, initialAdapter } from '../model/adapter.ts';
import { tinyConfigs, tinyParameters } from '../model/testing/tiny-models.ts';
import { loadModel, type Model, saveModel } from './checkpoint.ts';
import { hashModel } from './model-folder.ts';
import { readSafetensorsHeader } from './safetensors.ts';

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'heed-adapter-')), 'models');
});
afterEach(() => rmSync(join(folder, '..'), { recursive: true }));

const fresh = (): Model => {
  const config = tinyConfigs.llama;
  return { config, kind: 'base', parameters: tinyParameters(config) };
};

/** What Hugging Face's folders have not. */
const foreign = ['manifest.json', 'heed.json'];

interface Saving {
  kind?: 'policy' | 'reward';
  /** The base that lies there stays as it is. */
  keepsBase?: boolean;
}

describe('an adapter', () => {
  const modules = [0, 1].flatMap((layer) => [
    `model.layers.${layer}.self_attn.q_proj`,
    `model.layers.${layer}.mlp.down_proj`,
  ]);
  const adapter: Adapter = { rank: 2, alpha: 4, isRankStabilised: true, dropout: 0.1, modules };

  /** Over a saved base, in a folder beside it. */
  async function saved({ kind = 'policy', keepsBase = false }: Saving = {}): Promise<Model> {
    const base = fresh();
    if (!keepsBase) await saveModel(join(folder, 'base'), base);
    const path = join(folder, 'base');
    const model: Model = {
      ...{ ...base, kind, adapter, base: { path, sha256: await hashModel(path) } },
      parameters: new Map([...base.parameters, ...initialAdapter(base.config, adapter, 3)]),
    };
    if (kind === 'reward')
      model.parameters.set('score.weight', new Float32Array(base.config.hiddenSize).fill(0.5));
    await saveModel(join(folder, 'adapter'), model);
    return model;
  }

  test('is stored without its base, by the names of PEFT', async () => {
    const { parameters } = await saved();
    const { entries } = await readSafetensorsHeader(join(folder, 'adapter', 'adapter_model.safetensors'));
    expect(entries.size).toBe(8);
    const down = entries.get('base_model.model.model.layers.1.mlp.down_proj.lora_A.weight')!;
    expect(down.shape).toEqual([2, tinyConfigs.llama.intermediateSize]);
    const json = JSON.parse(readFileSync(join(folder, 'adapter', 'adapter_config.json'), 'utf8'));
    expect(json).toMatchObject({ r: 2, lora_alpha: 4, use_rslora: true, lora_dropout: 0.1 });
    expect([json.task_type, json.target_modules]).toEqual(['CAUSAL_LM', ['q_proj', 'down_proj']]);
    const loaded = await loadModel(join(folder, 'adapter'));
    expect([loaded.adapter, loaded.parameters]).toEqual([adapter, parameters]);
  });

  test('of a reward model keeps its head', async () => {
    const { parameters } = await saved({ kind: 'reward' });
    const loaded = await loadModel(join(folder, 'adapter'), { expectKind: ['reward'] });
    expect(loaded.parameters).toEqual(parameters);
    const json = JSON.parse(readFileSync(join(folder, 'adapter', 'adapter_config.json'), 'utf8'));
    expect([json.task_type, json.modules_to_save]).toEqual(['SEQ_CLS', ['score']]);
  });

  test('shares the arrays of a base that is open', async () => {
    const { config: _, ...model } = await saved();
    const base = await loadModel(join(folder, 'base'));
    const loaded = await loadModel(join(folder, 'adapter'), { base });
    expect(loaded.parameters.get('model.norm.weight')).toBe(base.parameters.get('model.norm.weight'));
    expect(loaded.parameters).toEqual(model.parameters);
  });

  test('is found together with its base where both were moved', async () => {
    const { parameters } = await saved();
    const moved = `${folder}-moved`;
    renameSync(folder, moved);
    expect((await loadModel(join(moved, 'adapter'))).parameters).toEqual(parameters);
    renameSync(moved, folder);
  });

  test('is refused over a base that has changed, and without one', async () => {
    const model = await saved();
    rmSync(join(folder, 'base'), { recursive: true });
    await expect(loadModel(join(folder, 'adapter'))).rejects.toThrow("expected the adapter's base model");
    const other = fresh();
    other.parameters.get('model.norm.weight')!.fill(7);
    await saveModel(join(folder, 'base'), other);
    const change = `content that it was trained on (SHA-256 ${model.base!.sha256.slice(0, 12)})`;
    await expect(loadModel(join(folder, 'adapter'))).rejects.toThrow(change);
  });

  test('for a module that the model lacks is refused', async () => {
    const model = await saved();
    const wrong = { ...adapter, modules: ['model.layers.9.self_attn.q_proj'] };
    const saving = saveModel(join(folder, 'wrong'), { ...model, adapter: wrong });
    await expect(saving).rejects.toThrow('layers.9');
  });

  test('that was moved loads when its base is put, or linked, where the message says', async () => {
    const { parameters } = await saved();
    renameSync(join(folder, 'base'), join(folder, 'elsewhere'));
    const error = (await loadModel(join(folder, 'adapter')).catch((caught) => caught)) as Error;
    const place = / link to it, at (\S+)\.$/m.exec(error.message)?.[1] ?? '';
    expect(place).toBe(join(folder, 'base'));
    symlinkSync(join(folder, 'elsewhere'), place);
    expect((await loadModel(join(folder, 'adapter'))).parameters).toEqual(parameters);
  });

  test('over a folder from elsewhere is not troubled by what else lies there', async () => {
    await saveModel(join(folder, 'base'), fresh());
    for (const name of foreign) rmSync(join(folder, 'base', name));
    const model = await saved({ keepsBase: true });
    writeFileSync(join(folder, 'base', '.DS_Store'), 'x');
    writeFileSync(join(folder, 'base', 'README.md'), 'edited');
    mkdirSync(join(folder, 'base', 'out'));
    await saveModel(join(folder, 'base', 'out', 'adapter'), model);
    for (const place of ['adapter', 'base/out/adapter']) {
      expect((await loadModel(join(folder, place))).parameters).toEqual(model.parameters);
    }
  });

  test('without a record of its base has another hash over another base', async () => {
    await saved();
    for (const name of foreign) rmSync(join(folder, 'adapter', name));
    const config = join(folder, 'adapter', 'adapter_config.json');
    const json = JSON.parse(readFileSync(config, 'utf8'));
    writeFileSync(config, JSON.stringify({ ...json, base_model_name_or_path: '../base' }));
    const before = await hashModel(join(folder, 'adapter'));
    expect(await hashModel(join(folder, 'adapter'))).toBe(before);
    const other = fresh();
    other.parameters.get('model.norm.weight')!.fill(7);
    await saveModel(join(folder, 'base'), other);
    expect(await hashModel(join(folder, 'adapter'))).not.toBe(before);
    rmSync(join(folder, 'base'), { recursive: true });
    await expect(hashModel(join(folder, 'adapter'))).rejects.toThrow('with the folder of the base');
  });
});
