import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FormatError, UserError } from '../../engine/errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { parseModelConfig } from '../model/config-json.ts';
import { initialParameter, parameterSpecs } from '../model/parameters.ts';
import { loadModel, type Model, saveModel } from './checkpoint.ts';
import { readSafetensorsHeader, writeSafetensors } from './safetensors.ts';
import { failingFiles } from './testing/failing-files.ts';

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'heed-checkpoint-')), 'model');
});
afterEach(() => rmSync(join(folder, '..'), { recursive: true }));

const gpt2Json = { model_type: 'gpt2', vocab_size: 11, n_embd: 8, n_layer: 1, n_head: 2, n_positions: 6 };
const llamaJson = {
  model_type: 'llama',
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  max_position_embeddings: 16,
  tie_word_embeddings: true,
};
const config = (json: object): ModelConfig => parseModelConfig(json, 'config.json');

function fresh(given: ModelConfig, kind: Model['kind'] = 'base'): Model {
  const specs = parameterSpecs(given);
  const parameters = new Map(specs.map((spec, i) => [spec.name, initialParameter(spec, given, 7, i)]));
  return { config: given, parameters, kind };
}

/** A folder as another program would leave it: no manifest, no heed.json, tensors by the names given. */
async function writeForeign(
  json: object,
  tensors: { name: string; shape: readonly number[]; data: Float32Array }[],
) {
  await saveModel(folder, fresh(config(json)));
  for (const name of ['manifest.json', 'heed.json', 'README.md']) rmSync(join(folder, name));
  await writeSafetensors(join(folder, 'model.safetensors'), tensors);
}

const tensorsOf = (model: Model) =>
  parameterSpecs(model.config).map(({ name, shape }) => ({ name, shape, data: model.parameters.get(name)! }));

describe('a saved model', () => {
  test('comes back equal, with its kind, lineage, tokens and tokenizer files', async () => {
    const model: Model = {
      ...fresh(config({ ...llamaJson, bos_token_id: 1, eos_token_id: [2, 3], pad_token_id: 0 }), 'policy'),
      lineage: {
        parents: [{ name: 'base', sha256: 'ab'.repeat(32) }],
        data: [{ name: 'rows.jsonl', sha256: 'cd'.repeat(32) }],
        recipe: { learningRate: 1e-4 },
      },
      tokenizerFiles: {
        'tokenizer.json': { version: '1.0' },
        'chat_template.jinja': Uint8Array.of(0x7b, 0x7b),
      },
      generation: { temperature: 0.7 },
    };
    await saveModel(folder, model);
    const loaded = await loadModel(folder);
    expect(loaded.parameters).toEqual(model.parameters);
    expect(loaded.config).toEqual(model.config);
    expect(loaded.kind).toBe('policy');
    expect(loaded.lineage).toEqual(model.lineage);
    expect(
      JSON.parse(new TextDecoder().decode(loaded.tokenizerFiles!['tokenizer.json'] as Uint8Array)),
    ).toEqual({
      version: '1.0',
    });
    expect(loaded.tokenizerFiles!['chat_template.jinja']).toEqual(Uint8Array.of(0x7b, 0x7b));
    expect(loaded.generation).toEqual({ temperature: 0.7 });
    expect(JSON.parse(readFileSync(join(folder, 'generation_config.json'), 'utf8')).eos_token_id).toEqual([
      2, 3,
    ]);
  });

  test('is the same in shards, none larger than asked', async () => {
    const model = fresh(config(llamaJson));
    await saveModel(folder, model, { maxShardBytes: 1000 });
    const shards = readdirSync(folder).filter((name) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name));
    expect(shards.length).toBeGreaterThan(3);
    for (const shard of shards) {
      const { entries } = await readSafetensorsHeader(join(folder, shard));
      const sizes = [...entries.values()].map(({ start, end }) => end - start);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(1000);
    }
    expect((await loadModel(folder)).parameters).toEqual(model.parameters);
  });

  test('in BF16 keeps the upper half of every float32, to the nearest', async () => {
    const model = fresh(config(llamaJson));
    await saveModel(folder, model, { dtype: 'BF16' });
    const { parameters } = await loadModel(folder);
    for (const [name, values] of model.parameters) {
      const read = parameters.get(name)!;
      for (let i = 0; i < values.length; i++) {
        expect(Math.abs(read[i] - values[i])).toBeLessThanOrEqual(Math.abs(values[i]) / 256);
      }
    }
    expect(JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')).dtype).toBe('bfloat16');
  });

  test('is refused where another kind is expected', async () => {
    await saveModel(folder, fresh(config(llamaJson), 'policy'));
    await expect(loadModel(folder, { expectKind: ['reward', 'value'] })).rejects.toThrow(
      'expected a reward or value model, got a policy model',
    );
  });

  test('names a weight file that was changed afterwards', async () => {
    await saveModel(folder, fresh(config(llamaJson)));
    const path = join(folder, 'model.safetensors');
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(path, bytes);
    await expect(loadModel(folder)).rejects.toThrow('model.safetensors: expected the SHA-256');
  });

  test('is the old one or the new one when the n-th change of the disk fails, for every n', async () => {
    const [old, later] = [fresh(config(gpt2Json)), fresh(config(gpt2Json))];
    later.parameters.get('transformer.wpe.weight')!.fill(0.5);
    await saveModel(folder, old);
    for (let n = 1; ; n++) {
      const { files, hasFailed } = failingFiles(n, 'crash');
      await saveModel(folder, later, { files }).catch(() => {});
      const first = (await loadModel(folder)).parameters.get('transformer.wpe.weight')![0];
      expect([old.parameters.get('transformer.wpe.weight')![0], 0.5]).toContain(first);
      if (!hasFailed()) break;
      await saveModel(folder, old);
    }
    expect((await loadModel(folder)).parameters).toEqual(later.parameters);
  });
});

describe('reward models', () => {
  const withHead = (json: object): Model => {
    const model = fresh(config(json), 'reward');
    model.parameters.set(
      'score.weight',
      Float32Array.from({ length: 8 }, (_, i) => i / 8),
    );
    return { ...model, rewardStatistics: { mean: 0.5, deviation: 2 } };
  };

  test('carry their head and the scale of their scores', async () => {
    await saveModel(folder, withHead(llamaJson));
    const loaded = await loadModel(folder, { expectKind: ['reward'] });
    expect([...loaded.parameters.get('score.weight')!]).toEqual([
      0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875,
    ]);
    expect(loaded.rewardStatistics).toEqual({ mean: 0.5, deviation: 2 });
  });

  test('are known by their architecture where there is no heed.json, and need no output matrix', async () => {
    const model = withHead({ ...llamaJson, tie_word_embeddings: false });
    model.parameters.delete('lm_head.weight');
    await saveModel(folder, model);
    for (const name of ['manifest.json', 'heed.json']) rmSync(join(folder, name));
    expect((await loadModel(folder)).kind).toBe('reward');
  });

  test('without a head are not saved', async () => {
    await expect(saveModel(folder, fresh(config(llamaJson), 'reward'))).rejects.toThrow('score.weight');
    expect(existsSync(folder)).toBe(false);
  });
});

describe('folders of other programs', () => {
  test('GPT-2 without the prefix and with mask buffers, of any type, is the same GPT-2', async () => {
    const model = fresh(config(gpt2Json));
    const bare = tensorsOf(model).map(({ name, ...rest }) => ({
      name: name.replace('transformer.', ''),
      ...rest,
    }));
    const mask = { name: 'h.0.attn.bias', shape: [1, 1, 6, 6], data: new Float32Array(36) };
    await writeForeign(gpt2Json, [...bare, mask, { ...mask, name: 'h.0.attn.masked_bias', shape: [36] }]);
    expect((await loadModel(folder)).parameters).toEqual(model.parameters);
  });

  test('a tied model may store its output too, if it is the same', async () => {
    const model = fresh(config(llamaJson));
    const embedding = model.parameters.get('model.embed_tokens.weight')!;
    const output = { name: 'lm_head.weight', shape: [11, 8], data: embedding };
    await writeForeign(llamaJson, [...tensorsOf(model), output]);
    expect((await loadModel(folder)).parameters).toEqual(model.parameters);
    const other = embedding.slice();
    other[87] += 1;
    await writeSafetensors(join(folder, 'model.safetensors'), [
      ...tensorsOf(model),
      { ...output, data: other },
    ]);
    await expect(loadModel(folder)).rejects.toThrow('the values of model.embed_tokens.weight');
  });

  test('generation_config.json says where answers end', async () => {
    await writeForeign(llamaJson, tensorsOf(fresh(config(llamaJson))));
    writeFileSync(join(folder, 'generation_config.json'), '{"eos_token_id":[4,5]}');
    expect((await loadModel(folder)).config.tokens).toEqual({ eos: [4, 5] });
  });

  test('missing, unknown, misshapen and repeated tensors are named before any is read', async () => {
    const all = tensorsOf(fresh(config(llamaJson)));
    await writeForeign(llamaJson, all.slice(1));
    await expect(loadModel(folder)).rejects.toThrow('missing model.embed_tokens.weight');
    const path = join(folder, 'model.safetensors');
    await writeSafetensors(path, [...all, { ...all[0], name: 'model.layers.2.extra' }]);
    await expect(loadModel(folder)).rejects.toThrow('also model.layers.2.extra');
    await writeSafetensors(path, [{ ...all[0], shape: [8, 11] }, ...all.slice(1)]);
    await expect(loadModel(folder)).rejects.toThrow(
      'embed_tokens.weight: expected the shape [11,8], got [8,11]',
    );
    await writeSafetensors(path, [...all, { ...all[0], name: 'embed_tokens.weight' }]);
    await expect(loadModel(folder)).rejects.toThrow('two of model.embed_tokens.weight');
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])(
    'a weight of %s is refused, naming its tensor',
    async (value) => {
      const model = fresh(config(llamaJson));
      model.parameters.get('model.norm.weight')![3] = value;
      await writeForeign(llamaJson, tensorsOf(model));
      await expect(loadModel(folder)).rejects.toThrow(
        `model.norm.weight: expected finite values, got ${value} at 3`,
      );
      await expect(saveModel(`${folder}-2`, model)).rejects.toThrow('parameter model.norm.weight');
    },
  );

  test.each(['pytorch_model.bin', 'model.pt', 'last.ckpt'])('%s is never opened', async (name) => {
    await writeForeign(llamaJson, []);
    rmSync(join(folder, 'model.safetensors'));
    writeFileSync(join(folder, name), 'pickle');
    const error = await loadModel(folder).catch((caught: unknown) => caught as FormatError);
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message).toMatch(
      new RegExp(`model.safetensors.*got ${name}.*Try the safetensors`),
    );
  });

  test('a value too large for F16 is refused rather than made infinite', async () => {
    const model = fresh(config(llamaJson));
    model.parameters.get('model.norm.weight')![0] = 70000;
    await expect(saveModel(folder, model, { dtype: 'F16' })).rejects.toThrow(
      'finite values that fit F16, got 70000',
    );
  });

  test.each([
    ['a file', 'README.md'],
    ['nothing', 'absent'],
  ])('%s in place of a folder is the user’s mistake', async (found, name) => {
    await saveModel(folder, fresh(config(llamaJson)));
    const error = await loadModel(join(folder, name)).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toContain(`expected a folder, got ${found}`);
  });

  test('JSON may begin with the byte order mark that editors write', async () => {
    await saveModel(folder, fresh(config(llamaJson)));
    rmSync(join(folder, 'manifest.json'));
    const before = await loadModel(folder);
    for (const name of ['config.json', 'generation_config.json']) {
      writeFileSync(join(folder, name), `\uFEFF${readFileSync(join(folder, name), 'utf8')}`);
    }
    expect(await loadModel(folder)).toEqual(before);
  });

  test('a folder without config.json is named', async () => {
    await saveModel(folder, fresh(config(llamaJson)));
    for (const name of ['manifest.json', 'config.json']) rmSync(join(folder, name));
    await expect(loadModel(folder)).rejects.toThrow('config.json: expected a Hugging Face model file');
  });
});

describe('an index of shards', () => {
  async function withIndex(change: (map: Record<string, string>) => void): Promise<unknown> {
    rmSync(folder, { recursive: true, force: true });
    await saveModel(folder, fresh(config(llamaJson)), { maxShardBytes: 1000 });
    rmSync(join(folder, 'manifest.json'));
    const path = join(folder, 'model.safetensors.index.json');
    const index = JSON.parse(readFileSync(path, 'utf8'));
    change(index.weight_map);
    writeFileSync(path, JSON.stringify(index));
    return loadModel(folder).catch((error: unknown) => error);
  }

  test.each([
    '../model.safetensors',
    '/etc/model.safetensors',
    'a\\b.safetensors',
    'a\0.safetensors',
    'con.safetensors',
    'con',
    '..',
    '.safetensors',
    '-x.safetensors',
    'model.bin',
  ])('does not follow %j', async (name) => {
    const error = await withIndex((map) => {
      map['model.norm.weight'] = name;
    });
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message).toContain(
      'model.norm.weight: expected the name of a .safetensors file',
    );
  });

  test('must agree with its shards', async () => {
    const wrongShard = await withIndex((map) => {
      map['model.norm.weight'] = map['model.embed_tokens.weight'];
    });
    expect(String(wrongShard)).toMatch(
      /tensor model.norm.weight: expected the shard|missing model.norm.weight/,
    );
    const phantom = await withIndex((map) => {
      map.phantom = map['model.norm.weight'];
    });
    expect(String(phantom)).toContain('missing phantom');
    const absent = await withIndex((map) => {
      delete map['model.norm.weight'];
    });
    expect(String(absent)).toContain('a tensor that the index does not have');
  });
});

describe('heed.json', () => {
  test.each([
    ['an unknown kind', { version: 1, kind: 'judge' }, FormatError, 'kind'],
    ['no version', { kind: 'base' }, FormatError, 'version'],
    ['a newer version', { version: 2, kind: 'base' }, UserError, 'Try a newer heed'],
    ['sources without hashes', { version: 1, kind: 'base', lineage: { parents: [{}] } }, FormatError, 'name'],
    ['a base without a hash', { version: 1, kind: 'policy', base: { path: 'x' } }, FormatError, 'sha256'],
  ])('with %s is refused', async (_, record, type, word) => {
    await saveModel(folder, fresh(config(llamaJson)));
    rmSync(join(folder, 'manifest.json'));
    writeFileSync(join(folder, 'heed.json'), JSON.stringify(record));
    const error = await loadModel(folder).catch((caught: unknown) => caught as Error);
    expect(error.constructor).toBe(type);
    expect((error as Error).message).toContain(word);
  });
});
