import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { timelessLog, trainedBytes } from '../../../align/run/testing/tiny-run.ts';
import { runHeed } from '../testing/run-heed.ts';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-pretrain-command-'));
  const text = 'the red cat sings and the blue dog sleeps.\nthe sun falls.\n'.repeat(30);
  writeFileSync(join(folder, 'text.txt'), text);
  const special = ['--special-tokens', '<|pad|>', '<|bos|>', '<|eos|>', '--vocabulary-size', '280'];
  const { code } = await heed('tokenizer', 'train', '--data', 'text.txt', '--out', 'tokenizer', ...special);
  expect(code).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const heed = (...words: string[]) => runHeed(words, folder);
const small = [
  ...[
    '--tokenizer',
    'tokenizer',
    '--data',
    'text.txt',
    '--layers',
    '1',
    '--hidden-size',
    '32',
    '--heads',
    '4',
  ],
  ...['--key-value-heads', '2', '--context', '64', '--window-length', '32', '--batch-size', '2', '--json'],
];

describe('heed pretrain', () => {
  it('makes a model from a tokenizer and text, that pretrain and sft go on from', async () => {
    const made = await heed('pretrain', ...small, '--out', 'base', '--max-steps', '3');
    expect([made.code, JSON.parse(made.stdout)]).toMatchObject([
      0,
      { steps: 3, documents: 1, outcome: 'done' },
    ]);
    const config = JSON.parse(readFileSync(join(folder, 'base/model/config.json'), 'utf8'));
    expect(config).toMatchObject({
      ...{ model_type: 'llama', hidden_size: 32, num_attention_heads: 4, num_key_value_heads: 2 },
      ...{ max_position_embeddings: 64, vocab_size: 280 },
    });

    const more = ['--data', 'text.txt', '--window-length', '32', '--max-steps', '1'];
    const continued = await heed('pretrain', '--model', 'base', ...more, '--out', 'more');
    expect([continued.code, continued.stdout]).toEqual([
      0,
      expect.stringMatching(/^more\/model: 1 updates, loss/),
    ]);

    writeFileSync(join(folder, 'rows.jsonl'), '{"prompt":"the red cat","completion":" sings"}\n');
    const tuned = await heed('sft', '--model', 'base', '--data', 'rows.jsonl', '--out', 'tuned', '--json');
    expect([tuned.code, JSON.parse(tuned.stdout)]).toMatchObject([0, { steps: 1, data: { kept: 1 } }]);
  });

  it('repeats a run from its recipe to the same bytes', async () => {
    await heed('pretrain', ...small, '--out', 'first', '--max-steps', '3', '--family', 'qwen3');
    const recipe = parse(readFileSync(join(folder, 'first/recipe.yaml'), 'utf8'));
    expect(recipe).toMatchObject({ command: 'pretrain', family: 'qwen3', 'max-steps': 3, layers: 1 });
    const { code } = await heed('pretrain', '--config', 'first/recipe.yaml', '--out', 'second');
    expect(code).toBe(0);
    const [first, second] = [join(folder, 'first'), join(folder, 'second')];
    expect(trainedBytes(second, 3)).toEqual(trainedBytes(first, 3));
    expect(timelessLog(second)).toEqual(timelessLog(first));
  });
});
