import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Adapter, initialAdapter, targetModules } from '../model/adapter.ts';
import { tinyConfigs, tinyParameters } from '../model/testing/tiny-models.ts';
import { copyWeights, weightSpecs } from '../model/weights.ts';
import { trainTokenizer } from '../text/train.ts';
import { frozenBases, loadModel, type Model, saveModel } from './checkpoint.ts';
import { hashFolder } from './commit.ts';
import { openModel, openWeights } from './open-model.ts';

let root: string;
let base: Model;
const at = (name: string) => join(root, name);

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'heed-open-'));
  const tokenizer = trainTokenizer(['red cat', 'blue dog'], {
    ...{ vocabularySize: 270, specialTokens: ['<|end|>'], eos: '<|end|>' },
  });
  const config = { ...tinyConfigs.llama, vocabularySize: 270, tokens: { eos: [7] } };
  base = { config, kind: 'base', parameters: tinyParameters(config), tokenizerFiles: tokenizer.files() };
  await saveModel(at('base'), base);
  await saveModel(at('moved'), base);
  for (const seed of [1, 2]) await saveAdapter(`adapter-${seed}`, seed);
});
afterAll(() => rmSync(root, { recursive: true }));

async function saveAdapter(name: string, seed: number): Promise<void> {
  const adapter: Adapter = {
    ...{ rank: 2, alpha: 4, isRankStabilised: false, dropout: 0 },
    modules: targetModules(base.config, ['attention']),
  };
  const own = initialAdapter(base.config, adapter, seed);
  const { tokenizerFiles: _, ...model } = base;
  await saveModel(at(name), {
    ...{ ...model, kind: 'policy', adapter, parameters: new Map([...base.parameters, ...own]) },
    base: { path: at('base'), sha256: await hashFolder(at('base')) },
  });
}

/** Names of the tensors that two models hold in one array. */
function shared(a: Model, b: Model): string[] {
  return [...a.parameters].flatMap(([name, values]) => (b.parameters.get(name) === values ? [name] : []));
}

const baseNames = () => [...base.parameters.keys()];

describe('an opened model', () => {
  it('has weights, tokenizer, what ends a completion, and the hash of its folder', async () => {
    const { folder, model, tokenizer, prompts, stopIds, sha256 } = await openModel(at('base'));
    expect(folder).toBe(at('base'));
    expect(model.parameters).toEqual(base.parameters);
    const end = tokenizer.idOf('<|end|>');
    expect(prompts.special.eos).toBe(end);
    expect(stopIds).toEqual([7, end]);
    expect(tokenizer.decode(prompts.encode('red dog'))).toBe('red dog');
    expect(await sha256()).toBe(await hashFolder(at('base')));
  });

  it('reads the tokenizer with its weights, and hashes the folder once', async () => {
    const { tokenizerFiles } = base;
    await saveModel(at('changing'), base);
    const opened = await openModel(at('changing'));
    const before = await opened.sha256();
    await saveModel(at('changing'), { ...base, tokenizerFiles: { ...tokenizerFiles, 'merges.txt': {} } });
    expect(await opened.sha256()).toBe(before);
  });

  it('of a run is in its folder model/', async () => {
    await saveModel(at('run/model'), base);
    expect((await openWeights(at('run'))).folder).toBe(at('run/model'));
  });

  it('takes the tokenizer of its base where an adapter has none', async () => {
    const { tokenizer } = await openModel(at('adapter-1'));
    expect(tokenizer.toJson()).toEqual((await openModel(at('base'))).tokenizer.toJson());
  });

  it('is refused without a tokenizer unless none is needed, and by its kind', async () => {
    const { tokenizerFiles: _, ...bare } = base;
    await saveModel(at('bare'), bare);
    await expect(openModel(at('bare'))).rejects.toThrow(
      /tokenizer\.json: expected a tokenizer file, got none/,
    );
    expect((await openWeights(at('bare'))).model.kind).toBe('base');
    await expect(openModel(at('base'), { expectKind: ['reward'] })).rejects.toThrow(
      /expected a reward model, got a base model/,
    );
  });

  it('names a malformed tokenizer by its file', async () => {
    await saveModel(at('torn'), { ...base, tokenizerFiles: { 'tokenizer.json': Buffer.from('{"mod') } });
    await expect(openModel(at('torn'))).rejects.toThrow(/torn.tokenizer\.json: expected JSON in UTF-8/);
  });
});

describe('models opened with the same bases', () => {
  it('share the arrays of the base under their adapters, and no others', async () => {
    const bases = frozenBases();
    const [one, two] = [
      (await openWeights(at('adapter-1'), { bases })).model,
      (await openWeights(at('adapter-2'), { bases })).model,
    ];
    expect(shared(one, two)).toEqual(baseNames());
    expect(shared(one, (await openWeights(at('adapter-2'))).model)).toEqual([]);
  });

  it('share them with the base itself, wherever it lies, where that stays frozen', async () => {
    const bases = frozenBases();
    const { model: adapted } = await openWeights(at('adapter-1'), { bases });
    const { model: frozen } = await openWeights(at('moved'), { bases, isFrozen: true });
    expect(shared(adapted, frozen)).toEqual(baseNames());
    expect(weightSpecs(frozen).filter(({ isTrained }) => isTrained)).toEqual([]);
    expect(shared(frozen, copyWeights(frozen))).toEqual(baseNames());
  });

  it('never share a whole model that may be trained, in either order', async () => {
    const bases = frozenBases();
    const { model: first } = await openWeights(at('base'), { bases });
    const { model: adapted } = await openWeights(at('adapter-1'), { bases });
    const { model: frozen } = await openWeights(at('base'), { bases, isFrozen: true });
    const { model: last } = await openWeights(at('base'), { bases });
    for (const other of [adapted, frozen, last]) expect(shared(first, other)).toEqual([]);
    expect(shared(last, frozen)).toEqual([]);
    expect(weightSpecs(last).every(({ isTrained }) => isTrained)).toBe(true);
  });

  it('have an adapter of their own to train', async () => {
    const bases = frozenBases();
    const [frozen, trained] = [
      (await openWeights(at('adapter-1'), { bases, isFrozen: true })).model,
      (await openWeights(at('adapter-1'), { bases })).model,
    ];
    expect(shared(frozen, trained)).toEqual(baseNames());
    expect(trained.parameters).toEqual((await loadModel(at('adapter-1'))).parameters);
  });

  it('are refused by kind even where the model is open already', async () => {
    const bases = frozenBases();
    await openWeights(at('base'), { bases, isFrozen: true });
    const again = openWeights(at('base'), { bases, isFrozen: true, expectKind: ['value'] });
    await expect(again).rejects.toThrow(/expected a value model, got a base model/);
  });

  it('open again what failed before', async () => {
    const bases = frozenBases();
    const load = () => Promise.reject(new Error('not yet'));
    await expect(bases.open('x', load)).rejects.toThrow('not yet');
    expect((await bases.open('x', async () => base)).config).toBe(base.config);
  });
});
