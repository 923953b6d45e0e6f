// What is no model is named for what it is.

import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseModelConfig } from '../model/config-json.ts';
import { initialParameter, parameterSpecs } from '../model/parameters.ts';
import { loadModel, saveModel } from './checkpoint.ts';
import { locateModel } from './model-folder.ts';
import { writeSafetensors } from './safetensors.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'heed-folder-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const config = parseModelConfig(
  {
    ...{ model_type: 'llama', vocab_size: 40, hidden_size: 8, intermediate_size: 16, num_hidden_layers: 1 },
    ...{
      num_attention_heads: 2,
      num_key_value_heads: 1,
      max_position_embeddings: 16,
      tie_word_embeddings: true,
    },
  },
  'config',
);
const parameters = new Map(
  parameterSpecs(config).map((spec, i) => [spec.name, initialParameter(spec, config, 1, i)]),
);

describe('a path that is no model', () => {
  it('may be a GGUF file, another file, or a name on a hub', async () => {
    for (const name of ['m.gguf', 'm.safetensors']) writeFileSync(join(root, name), 'GGUF');
    await expect(locateModel(join(root, 'm.gguf'))).rejects.toThrow(/got a GGUF file, .* Try the folder of/);
    await expect(locateModel(join(root, 'm.safetensors'))).rejects.toThrow('got a file.');
    await expect(locateModel('SomeOne/Model-0.5B')).rejects.toThrow(
      /no such folder\. Try .*downloads nothing/,
    );
    await expect(locateModel(join(root, 'nothing'))).rejects.toThrow(/got no such folder\.$/);
  });
});

describe('a folder whose weights are not there', () => {
  const weights = () => join(root, 'model', 'model.safetensors');
  const save = async () => {
    await saveModel(join(root, 'model'), { kind: 'base', config, parameters });
    // Without these it is a folder from elsewhere.
    for (const name of ['heed.json', 'manifest.json']) rmSync(join(root, 'model', name));
  };
  const load = () => loadModel(join(root, 'model'));

  it('may hold Git LFS pointers', async () => {
    await save();
    writeFileSync(weights(), 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n');
    await expect(load()).rejects.toThrow(/got a Git LFS pointer, .* Try `git lfs pull`/);
  });

  it('may hold shards without their index', async () => {
    await save();
    renameSync(weights(), join(root, 'model', 'model-00001-of-00002.safetensors'));
    await expect(load()).rejects.toThrow(/model\.safetensors\.index\.json, got 1 shards without that index/);
  });

  it('may have other names', async () => {
    await save();
    const tensors = parameterSpecs(config).map(({ name, shape }) => {
      return { name: `_orig_mod.${name}`, dtype: 'F32' as const, shape, data: parameters.get(name)! };
    });
    rmSync(weights());
    await writeSafetensors(weights(), tensors);
    await expect(load()).rejects.toThrow(/missing model\..* and there are others: _orig_mod\.model\./);
  });
});
