// The reference models, in and out.

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FormatError } from '../../engine/errors.ts';
import { loadModel, saveModel } from './checkpoint.ts';
import { readSafetensorsHeader, readTensor } from './safetensors.ts';

const golden = join(process.env.HEED_GOLDEN ?? '../shared/golden', 'models');

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'heed-golden-')), 'model');
});
afterEach(() => rmSync(join(folder, '..'), { recursive: true }));

describe.skipIf(!existsSync(golden))('reference models (skipped where shared/golden is missing)', () => {
  const families = ['llama', 'llama_untied', 'qwen2', 'qwen3', 'gpt2'];

  test.each(families)('%s is loaded and saved without changing a bit', async (family) => {
    const model = await loadModel(join(golden, family));
    expect(model.config.tokens).toEqual({ bos: 1, eos: [2], pad: 0 });
    await saveModel(folder, model);
    const [theirs, ours] = [join(golden, family), folder].map((path) => join(path, 'model.safetensors'));
    const original = await readSafetensorsHeader(theirs);
    const saved = await readSafetensorsHeader(ours);
    expect([...saved.entries.keys()].sort()).toEqual([...original.entries.keys()].sort());
    for (const [name, entry] of original.entries) {
      expect(await readTensor(ours, saved.entries.get(name)!)).toEqual(await readTensor(theirs, entry));
    }
    expect(readFileSync(join(folder, 'tokenizer.json'))).toEqual(
      readFileSync(join(golden, family, 'tokenizer.json')),
    );
  });

  test('a file cut in the middle of a tensor is refused', async () => {
    cpSync(join(golden, 'llama'), folder, { recursive: true });
    const bytes = readFileSync(join(folder, 'model.safetensors'));
    rmSync(join(folder, 'model.safetensors'));
    writeFileSync(join(folder, 'model.safetensors'), bytes.subarray(0, bytes.length - 100));
    await expect(loadModel(folder)).rejects.toBeInstanceOf(FormatError);
  });
});
