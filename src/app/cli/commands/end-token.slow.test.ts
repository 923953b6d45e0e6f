// Folders as GPT-2 and Qwen2 are published: one names its EOS in config.json alone, the other pads with it.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { goldenFolder, hasGolden } from '../../../language/model/testing/golden.ts';
import { runHeed } from '../testing/run-heed.ts';

let folder: string;
const heed = async (...words: string[]) => {
  const { code, stdout, stderr } = await runHeed([...words, '--json'], folder);
  expect([code, stderr]).toEqual([0, expect.not.stringContaining('error')]);
  return JSON.parse(stdout);
};

/** A golden model's folder, some of whose files have other fields. */
function publish(name: string, changes: Record<string, object>): void {
  mkdirSync(join(folder, name));
  for (const file of readdirSync(join(goldenFolder, 'models', name))) {
    const bytes = readFileSync(join(goldenFolder, 'models', name, file));
    const content = changes[file] ? JSON.stringify({ ...JSON.parse(`${bytes}`), ...changes[file] }) : bytes;
    writeFileSync(join(folder, name, file), content);
  }
}

const rows = (name: string, ...values: object[]) =>
  writeFileSync(join(folder, name), values.map((value) => `${JSON.stringify(value)}\n`).join(''));

describe.skipIf(!hasGolden)('published folders (with the golden models)', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'heed-end-token-'));
    publish('gpt2', { 'tokenizer_config.json': { eos_token: undefined } });
    const padsWithEos = { 'config.json': { pad_token_id: 2 }, 'generation_config.json': { pad_token_id: 2 } };
    publish('qwen2', { ...padsWithEos, 'tokenizer_config.json': { pad_token: '<|eos|>' } });
    publish('llama', {});
    rows('rows.jsonl', { prompt: 'the cat', completion: ' sat' }, { prompt: 'a dog', completion: ' ran' });
    rows('pairs.jsonl', { prompt: 'the cat', chosen: ' sat', rejected: ' ran' });
    writeFileSync(join(folder, 'text.txt'), 'the cat sat. '.repeat(20));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(['gpt2', 'qwen2'])(
    '%s learns by sft to end its answers, and what is saved ends them',
    async (model) => {
      const out = `sft-${model}`;
      const long = ['--epochs', '30', '--learning-rate', '0.01', '--batch-size', '2'];
      const { data, loss } = await heed(
        'sft',
        '--model',
        model,
        '--data',
        'rows.jsonl',
        '--out',
        out,
        ...long,
      );
      expect(data.kept).toBe(2);
      expect(loss).toBeLessThan(0.5);
      const asked = ['--prompt', 'the cat', '--temperature', '0', '--max-tokens', '12'];
      const { completions } = await heed('generate', '--model', out, ...asked);
      expect(completions).toMatchObject([{ text: ' sat', finish: 'stop' }]);
      expect(completions[0].ids.at(-1)).toBe(2);
      const saved = JSON.parse(readFileSync(join(folder, out, 'model/generation_config.json'), 'utf8'));
      expect(saved.eos_token_id).toBe(2);
    },
  );

  it.each([
    ['pretrain', '--model', 'gpt2', '--data', 'text.txt', '--window-length', '32'],
    ['pretrain', '--model', 'qwen2', '--data', 'text.txt', '--window-length', '32'],
    ['pretrain', '--tokenizer', 'gpt2', '--data', 'text.txt', '--layers', '1', '--hidden-size', '16'],
    [
      'pretrain',
      '--tokenizer',
      'llama/tokenizer.json',
      '--data',
      'text.txt',
      '--layers',
      '1',
      '--hidden-size',
      '16',
    ],
    ['reward', '--model', 'gpt2', '--data', 'pairs.jsonl'],
    ['dpo', '--model', 'gpt2', '--data', 'pairs.jsonl'],
  ])('%s %s %s makes an update', async (...words) => {
    const sizes =
      words[1] === '--tokenizer' ? ['--heads', '2', '--context', '64', '--window-length', '32'] : [];
    const out = words.slice(0, 3).join('').replace('/', '-');
    const result = await heed(...words, ...sizes, '--out', out, '--max-steps', '1');
    expect(result).toMatchObject({ steps: 1, skipped: 0, outcome: 'done' });
    const config = JSON.parse(readFileSync(join(folder, out, 'model/config.json'), 'utf8'));
    expect(config.eos_token_id).toBe(2);
  });
});
