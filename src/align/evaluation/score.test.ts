import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer as ReferenceTokenizer } from '@huggingface/tokenizers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../../engine/errors.ts';
import { Random } from '../../engine/random.ts';
import { loadModel, saveModel } from '../../language/checkpoint/checkpoint.ts';
import { type ScoredRow, type ScoreEvent, type ScoreOptions, type ScoreResult, scoreFiles } from './score.ts';

const golden = process.env.HEED_GOLDEN ?? '../shared/golden';
const isMissing = !existsSync(golden);
const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-score-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
async function score(
  rows: readonly object[],
  settings: Partial<ScoreOptions> = {},
): Promise<ScoreResult & { events: ScoreEvent[] }> {
  const file = join(folder, `${files++}.jsonl`);
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const options: ScoreOptions = {
    model: join(golden, 'models/llama'),
    data: [file],
    device: 'cpu',
    threads: 1,
    batchTokens: 4096,
    strict: false,
    ...settings,
  };
  const events: ScoreEvent[] = [];
  const context = { emit: (event: ScoreEvent) => events.push(event), signal: new AbortController().signal };
  return { ...(await scoreFiles(options, context)), events };
}

function expectClose(found: number, expected: number): void {
  expect(Math.abs(found - expected)).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(expected)));
}
const likelihood = (row: ScoredRow) => ('completion_logp' in row ? row.completion_logp : Number.NaN);
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

interface Example {
  prompt: number[];
  completion: number[];
}
const models = isMissing ? undefined : read(join(golden, 'models.json'));
const examples: Example[] = models?.examples ?? [];
const idRows = examples.map(({ prompt, completion }) => ({ prompt_ids: prompt, completion_ids: completion }));

describe.skipIf(isMissing)('scoring against golden values', () => {
  it.each(Object.keys(models?.families ?? {}))(
    "gives PyTorch's log-probabilities and loss for %s, without a tokenizer",
    async (family) => {
      const model = join(folder, family);
      cpSync(join(golden, 'models', family), model, {
        recursive: true,
        filter: (path) => !path.includes('tokenizer'),
      });
      const { rows, perplexity, tokens } = await score(idRows, { model });
      const { completion_logp_sum, sft_loss } = models.families[family];
      rows.forEach((row, i) => {
        expectClose(likelihood(row), completion_logp_sum[i]);
      });
      expectClose(Math.log(perplexity!), sft_loss);
      expect([tokens, rows.map(({ line }) => line)]).toEqual([30, [1, 2, 3]]);
    },
  );

  it('scores every token after the first when the prompt is one token', async () => {
    const rows = examples.map(({ prompt, completion }) => ({
      prompt_ids: prompt.slice(0, 1),
      completion_ids: [...prompt.slice(1), ...completion],
    }));
    const { rows: scored } = await score(rows);
    scored.forEach((row, i) => {
      expectClose(likelihood(row), sum(models.families.llama.token_logps[i]));
    });
  });

  it('compares both answers of a preference with those of the same answers alone', async () => {
    const [expected] = models.families.llama.completion_logp_sum;
    const [{ prompt, completion }] = examples;
    const other = [7, 8, 9];
    const alone = await score([{ prompt_ids: prompt, completion_ids: other }]);
    const pair = { prompt_ids: prompt, chosen_ids: completion, rejected_ids: other };
    const swapped = { prompt_ids: prompt, chosen_ids: other, rejected_ids: completion };
    const { rows, accuracy, perplexity } = await score([pair, swapped, swapped]);
    expect(rows[0]).toMatchObject({ chosen_tokens: 9, rejected_tokens: 3 });
    expectClose((rows[0] as { chosen_logp: number }).chosen_logp, expected);
    expectClose((rows[0] as { rejected_logp: number }).rejected_logp, likelihood(alone.rows[0]));
    // The longer answer is the less probable one, so only the two swapped pairs are won.
    expect([accuracy, perplexity]).toEqual([2 / 3, undefined]);
  });
});

/** The golden model with a head that counts nothing but its bias, and for `reward` the mean 3 and deviation 4. */
async function withHead(kind: 'reward' | 'value', weight = 0): Promise<string> {
  const model = await loadModel(join(golden, 'models/llama'));
  model.parameters.set('score.weight', new Float32Array(32).fill(weight));
  model.parameters.set('score.bias', Float32Array.of(5));
  const path = join(folder, `${kind}-${weight}`);
  await saveModel(path, { ...model, kind, rewardStatistics: { mean: 3, deviation: 4 } });
  return path;
}

describe.skipIf(isMissing)('scoring by a reward model', () => {
  it('tells rewards on the scale on which they are paid, and their mean', async () => {
    const { rows, reward, perplexity } = await score(idRows, { model: await withHead('reward') });
    expect(rows.map((row) => 'reward' in row && row.reward)).toEqual(idRows.map(() => 0.5));
    expect([reward, perplexity]).toEqual([0.5, undefined]);
  });

  it('reads an answer of text where it ends, and counts the preferences that it orders rightly', async () => {
    const model = await withHead('reward', 0.1);
    const [prompt, better, worse] = ['Say it: ', 'the cat sat', 'a dog'];
    const alone = await score(
      [better, worse].map((completion) => ({ prompt, completion })),
      { model },
    );
    const rewards = alone.rows.map((row) => ('reward' in row ? row.reward : Number.NaN));
    const [chosen, rejected] = rewards[0] > rewards[1] ? [better, worse] : [worse, better];
    const pairs = [
      { prompt, chosen, rejected },
      { prompt, chosen: rejected, rejected: chosen },
    ];
    const compared = await score(pairs, { model });
    expect(compared.accuracy).toBe(0.5);
    const [first] = compared.rows as { chosen_reward: number; rejected_reward: number }[];
    expectClose(first.chosen_reward, Math.max(...rewards));
    expectClose(first.rejected_reward, Math.min(...rewards));
  });

  it('refuses texts, which are no answers', async () => {
    const run = score([{ text: 'the cat' }], { model: await withHead('reward') });
    await expect(run).rejects.toThrow('a reward model scores answers to prompts, not texts');
  });
});

describe.skipIf(isMissing)('scoring rows of text (with the golden model)', () => {
  const reference = isMissing
    ? undefined
    : new ReferenceTokenizer(
        read(join(golden, 'models/llama/tokenizer.json')),
        read(join(golden, 'models/llama/tokenizer_config.json')),
      );
  const encode = (text: string): number[] => reference!.encode(text, { add_special_tokens: false }).ids;
  const lead = () => reference!.encode('').ids;

  it("scores strings as the ids that Hugging Face's tokenizer gives them, with no EOS added", async () => {
    const [prompt, completion] = ['Say it: ', 'the cat sat'];
    const strings = await score([{ prompt, completion }]);
    const ids = await score([
      { prompt_ids: [...lead(), ...encode(prompt)], completion_ids: encode(completion) },
    ]);
    expect(strings.rows[0]).toMatchObject({ tokens: encode(completion).length });
    expectClose(likelihood(strings.rows[0]), likelihood(ids.rows[0]));
  });

  it('cuts a text longer than the context so that every token but its first counts once', async () => {
    const text = 'the quick brown fox jumps over the lazy dog; 말 잘 듣는 모델. '.repeat(5);
    const ids = [...lead(), ...encode(text)];
    const context = 64;
    expect(ids.length).toBeGreaterThan(2 * context);
    const { rows, bits_per_byte } = await score([{ text }]);
    const pieces = [];
    for (let start = 0; start + 1 < ids.length; start += context - 1) {
      pieces.push({ prompt_ids: [ids[start]], completion_ids: ids.slice(start + 1, start + context) });
    }
    const alone = await score(pieces);
    const expected = sum(alone.rows.map(likelihood));
    expect(rows[0]).toMatchObject({ tokens: ids.length - 1, bytes: new TextEncoder().encode(text).length });
    expectClose((rows[0] as { text_logp: number }).text_logp, expected);
    expectClose(bits_per_byte!, Math.log2(Math.exp(-expected / new TextEncoder().encode(text).length)));
  });
});

describe.skipIf(isMissing)('scoring many rows (with the golden model)', () => {
  it('gives each row the same log-probability in any batch as alone', async () => {
    const random = new Random(3, 'testing');
    const ids = (step: number, most: number) =>
      Array.from({ length: 1 + random.integer(most, step, 0) }, (_, i) => random.integer(320, step, 1 + i));
    const rows = Array.from({ length: 40 }, (_, n) => ({
      prompt_ids: ids(2 * n, 20),
      completion_ids: ids(2 * n + 1, 40),
    }));
    const together = await score(rows);
    const inSmallBatches = await score(rows, { batchTokens: 200 });
    for (const n of [0, 13, 39]) {
      const alone = likelihood((await score([rows[n]])).rows[0]);
      expectClose(likelihood(together.rows[n]), alone);
      expectClose(likelihood(inSmallBatches.rows[n]), alone);
    }
    const done = inSmallBatches.events.filter((event) => event.type === 'progress');
    expect(done.length).toBeGreaterThan(3);
    expect(done.at(-1)!.tokens).toBe(done.at(-1)!.total);
  });
});

describe.skipIf(isMissing)('rows that cannot be scored (with the golden model)', () => {
  const good = { prompt_ids: [5], completion_ids: [6] };
  const cases: [string, object, RegExp][] = [
    ['an empty prompt', { prompt: '', completion: 'a' }, /prompt is empty/],
    ['no prompt ids', { prompt_ids: [], completion_ids: [6] }, /prompt is empty/],
    ['no completion ids', { prompt_ids: [6], completion_ids: [] }, /completion is empty/],
    ['an id beyond the vocabulary', { prompt_ids: [5], completion_ids: [320] }, /320 .* vocabulary of 320/],
    [
      'a prompt as long as the context',
      { prompt_ids: Array(64).fill(5), completion_ids: [6] },
      /prompt alone/,
    ],
    ['both longer than the context', { prompt_ids: Array(63).fill(5), completion_ids: [6, 6] }, /together/],
    [
      'a string prompt longer than the context',
      { prompt: 'x y '.repeat(60), completion: 'z' },
      /prompt alone/,
    ],
    ['an empty text', { text: '' }, /text is empty/],
    ['unknown keys', { question: 'a' }, /no known format has the keys question/],
  ];

  it.each(cases)('sets aside a row with %s, by file, line and byte', async (_, row, reason) => {
    const { rows, faults, events } = await score([good, row, good]);
    const [fault] = events.filter((event) => event.type === 'fault');
    expect(fault.fault).toMatchObject({ line: 2, offset: JSON.stringify(good).length + 1 });
    expect(fault.fault.reason).toMatch(reason);
    expect([rows.map(({ line }) => line), faults]).toEqual([[1, 3], 1]);
  });

  it('stops at the first of them when strict', async () => {
    const run = score([good, { prompt: 1, completion: 'a' }], { strict: true });
    await expect(run).rejects.toThrow(/jsonl:2: expected a usable row .* prompt: expected a string/);
  });

  it('ends with an error that names the first when no row is left', async () => {
    const run = score([{ prompt: '', completion: 'a' }, { text: 3 }]);
    await expect(run).rejects.toThrow(/got 2 faulty rows, the first at .*jsonl:1: the prompt is empty/);
  });

  it('says that strings need a tokenizer when the folder has none', async () => {
    const model = join(folder, 'mute');
    cpSync(join(golden, 'models/llama'), model, { recursive: true, filter: (p) => !p.includes('tokenizer') });
    const run = score([good, { prompt: 'a', completion: 'b' }], { model });
    await expect(run).rejects.toThrow(/tokenizer\.json: expected a tokenizer file, got none/);
  });

  it('sets aside rows of which a model with absurd weights says NaN', async () => {
    const model = await loadModel(join(golden, 'models/llama'));
    model.parameters.get('model.norm.weight')!.fill(3e38);
    const absurd = join(folder, 'absurd');
    await saveModel(absurd, model);
    const run = score([good], { model: absurd });
    await expect(run).rejects.toThrow(/1 faulty rows, .*: the model gives a log-probability of NaN/);
  });

  it('refuses a value model by its kind', async () => {
    const run = score([good], { model: await withHead('value') });
    await expect(run).rejects.toThrow(UserError);
    await expect(run).rejects.toThrow('expected a base or policy or reward model, got a value model');
  });
});
