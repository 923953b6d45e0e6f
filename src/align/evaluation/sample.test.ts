import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer as ReferenceTokenizer } from '@huggingface/tokenizers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, saveModel } from '../../language/checkpoint/checkpoint.ts';
import { type SampleEvent, type SampleOptions, type SampleResult, sampleCompletions } from './sample.ts';

const golden = process.env.HEED_GOLDEN ?? '../shared/golden';
const isMissing = !existsSync(golden);
const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'));
const llama = join(golden, 'models/llama');

let folder: string;
let roomy: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-sample-'));
  if (isMissing) return;
  // The golden model with a context in which Alpaca's template has room.
  roomy = join(folder, 'roomy');
  const model = await loadModel(llama);
  model.config.maxPositions = 512;
  await saveModel(roomy, model);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function sample(
  settings: Partial<SampleOptions>,
  rows?: readonly unknown[],
): Promise<SampleResult & { events: SampleEvent[] }> {
  const file = join(folder, 'prompts.jsonl');
  if (rows) writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const options: SampleOptions = {
    model: llama,
    ...(rows && { data: [file] }),
    template: 'none',
    maxTokens: 6,
    samples: 1,
    stop: [],
    seed: 0,
    temperature: 0,
    device: 'cpu',
    threads: 1,
    generationBatchSize: 8,
    strict: false,
    ...settings,
  };
  const events: SampleEvent[] = [];
  const context = { emit: (event: SampleEvent) => events.push(event), signal: new AbortController().signal };
  return { ...(await sampleCompletions(options, context)), events };
}

const idsOf = ({ completions }: SampleResult) => completions.map(({ ids }) => ids);

describe.skipIf(isMissing)('sampling completions (golden)', () => {
  const models = isMissing ? undefined : read(join(golden, 'models.json'));
  const idRows = (models?.examples ?? []).map(({ prompt }: { prompt: number[] }) => ({ prompt_ids: prompt }));

  // PyTorch's go on behind the end token.
  const untilEnd = (ids: number[]) => (ids.includes(2) ? ids.slice(0, ids.indexOf(2) + 1) : ids);

  it.each(Object.keys(models?.families ?? {}))(
    "continues greedily as PyTorch's %s does, without a tokenizer",
    async (family) => {
      const model = join(folder, family);
      const filter = (path: string) => !path.includes('tokenizer');
      cpSync(join(golden, 'models', family), model, { recursive: true, filter });
      const result = await sample({ model, maxTokens: 12 }, idRows);
      expect(idsOf(result)).toEqual(models.families[family].greedy.map(untilEnd));
      expect(result.completions.map(({ text, log_probs }) => [text, log_probs[0]])).toEqual(
        idRows.map(() => [undefined, 0]),
      );
    },
  );

  it('draws each prompt and sample by its own numbers, the same in any batch', async () => {
    const settings = { temperature: 1, samples: 3, seed: 7 };
    const together = await sample(settings, idRows);
    const oneByOne = await sample({ ...settings, generationBatchSize: 1 }, idRows);
    expect(idsOf(oneByOne)).toEqual(idsOf(together));
    expect(new Set(idsOf(together).map(String)).size).toBe(9);
    expect(together.completions.map(({ line, sample: n }) => [line, n])).toEqual(
      [1, 2, 3].flatMap((line) => [0, 1, 2].map((n) => [line, n])),
    );
    const second = await sample({ ...settings, seed: 8 }, idRows.slice(1, 2));
    expect(idsOf(second)).toEqual(idsOf(together).slice(3, 6));
  });
});

describe.skipIf(isMissing)('the prompts of sampling (with the golden model)', () => {
  const reference = isMissing
    ? undefined
    : new ReferenceTokenizer(read(join(llama, 'tokenizer.json')), read(join(llama, 'tokenizer_config.json')));
  const encode = (text: string): number[] => reference!.encode(text).ids;
  const alpaca = (instruction: string) =>
    'Below is an instruction that describes a task. Write a response that appropriately completes the request.' +
    `\n\n### Instruction:\n${instruction}\n\n### Response:\n`;

  it('continues a plain prompt as it is, and streams the only completion', async () => {
    const result = await sample({ prompt: ['the cat'], temperature: 1, maxTokens: 20 });
    const expected = await sample({ temperature: 1, maxTokens: 20 }, [{ prompt_ids: encode('the cat') }]);
    expect(idsOf(result)).toEqual(idsOf(expected));
    const streamed = result.events.flatMap((event) => (event.type === 'text' ? [event.text] : []));
    expect(streamed.length).toBeGreaterThan(5);
    expect(streamed.join('')).toBe(result.completions[0].text);
    expect(result.completions[0]).toMatchObject({ prompt: 'the cat', sample: 0, finish: 'length' });
  });

  it("puts instructions into Alpaca's template, from flag, row and conversation alike", async () => {
    const settings = { model: roomy, maxTokens: 3 };
    const expected = idsOf(await sample(settings, [{ prompt_ids: encode(alpaca('Say hi')) }]))[0];
    const flag = await sample({ ...settings, prompt: ['Say hi'], template: 'alpaca' });
    const chat = await sample({ ...settings, prompt: ['Say hi'], template: 'chat' });
    const rows = await sample(settings, [
      { instruction: 'Say hi' },
      { instruction: 'Say hi', input: '', output: 'hi' },
      { messages: [{ role: 'user', content: 'Say hi' }] },
      { prompt: alpaca('Say hi') },
    ]);
    for (const result of [flag, chat, rows]) {
      expect(idsOf(result)).toEqual(result.completions.map(() => expected));
    }
    expect(rows.completions.slice(0, 3).map(({ prompt }) => prompt)).toEqual(['Say hi', 'Say hi', 'Say hi']);
  });

  it('ends a completion before a stop text', async () => {
    const free = await sample({ prompt: ['the cat'], temperature: 1, maxTokens: 20 });
    const text = free.completions[0].text!;
    const stop = text.slice(5, 7);
    const stopped = await sample({ prompt: ['the cat'], temperature: 1, maxTokens: 20, stop: [stop] });
    expect(stopped.completions[0]).toMatchObject({
      text: text.slice(0, text.indexOf(stop)),
      finish: 'stop-string',
    });
  });

  it.each([
    ['no prompt', { completion: 'a' }, /none of the keys prompt_ids, prompt, /],
    ['an empty prompt', { prompt_ids: [] }, /prompt is empty/],
    ['an empty instruction', { instruction: ' ' }, /instruction is empty/],
    [
      'a prompt that fills the context',
      { prompt_ids: Array(64).fill(5) },
      /64 tokens fill the context of 64/,
    ],
    ['an id beyond the vocabulary', { prompt_ids: [320] }, /320 is beyond .* vocabulary of 320/],
    ['a prompt that is no text', { prompt: 3 }, /prompt: expected a string, got 3/],
    ['only an assistant', { messages: [{ role: 'assistant', content: 'a' }] }, /no message of a user/],
    ['a number', 7, /expected an object, got 7/],
  ])('sets aside a row with %s', async (_, row, reason) => {
    const { completions, faults, events } = await sample({}, [{ prompt_ids: [5] }, row]);
    const [fault] = events.filter((event) => event.type === 'fault');
    expect(fault.fault).toMatchObject({ line: 2, offset: 19, reason: expect.stringMatching(reason) });
    expect([completions.map(({ line }) => line), faults]).toEqual([[1], 1]);
    await expect(sample({ strict: true }, [row])).rejects.toThrow(reason);
  });

  it('refuses a prompt of the command line that fills the context, by its number', async () => {
    const run = sample({ prompt: ['a', 'x y '.repeat(60)] });
    await expect(run).rejects.toThrow(/--prompt, number 2: .* tokens fill the context of 64/);
  });

  it('asks for a tokenizer only where there is text', async () => {
    const model = join(folder, 'mute');
    cpSync(llama, model, { recursive: true, filter: (path) => !path.includes('tokenizer') });
    await expect(sample({ model }, [{ prompt: 'a' }])).rejects.toThrow(/tokenizer\.json.*got none/);
    await expect(sample({ model, prompt: ['a'] })).rejects.toThrow(/tokenizer\.json.*got none/);
  });
});
