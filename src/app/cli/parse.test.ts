import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { stageOptions } from '../stages/shared-options.ts';
import { defineCommand } from './command.ts';
import { parseArguments } from './parse.ts';

const nothing = async () => ({});
const sft = defineCommand({
  name: 'sft',
  description: 'fine-tune on demonstrations',
  options: z.object({
    ...stageOptions,
    learningRate: z.number().positive().default(2e-5).describe('peak step size'),
    packing: z.boolean().default(true).describe('several records a row'),
    ratio: z
      .number()
      .default(0.5)
      .refine((value) => value !== 0.25, 'anything but a quarter')
      .describe('share'),
  }),
  run: nothing,
});
const train = defineCommand({
  name: 'tokenizer train',
  description: 'learn merges',
  options: z.object({ specialTokens: z.array(z.string()).default([]).describe('never split') }),
  run: nothing,
});

let folder: string;
let written: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'heed-cli-'));
  written = '';
});
afterEach(() => rmSync(folder, { recursive: true }));

const needed = ['--model', 'base', '--out', 'run', '--data', 'a.jsonl'];

function parse(...words: string[]) {
  const write = (text: string) => {
    written += text;
  };
  return parseArguments(words, [sft, train], { version: '9.8.7', write });
}

function config(text: string): string[] {
  writeFileSync(join(folder, 'sft.yaml'), text);
  return ['--config', join(folder, 'sft.yaml')];
}

describe('options', () => {
  it('come from the schema: kebab-case flags, numbers, lists, booleans, defaults', () => {
    const invocation = parse(
      'sft',
      ...needed,
      'b.jsonl',
      '--max-steps=12',
      '--learning-rate',
      '3e-4',
      '--resume',
    );
    expect(invocation?.command.name).toBe('sft');
    expect(invocation?.options).toEqual({
      ...{ model: 'base', data: ['a.jsonl', 'b.jsonl'], out: 'run', maxSteps: 12, learningRate: 3e-4 },
      ...{ resume: true, seed: 0, device: 'auto', strict: false, packing: true, ratio: 0.5 },
    });
  });

  it('take words that begin with a bar or hold spaces', () => {
    const words = ['--special-tokens', '<|pad|>', '<|end of text|>'];
    expect(parse('tokenizer', 'train', ...words)?.options).toEqual({ specialTokens: words.slice(1) });
  });

  it('let flags win over the config file, and that over the defaults', () => {
    const file = config('command: sft\nseed: 5\nmax-steps: 7\npacking: true\ndata: c.jsonl\n');
    const words = ['--model', 'm', '--out', 'o', '--seed', '6', '--no-packing'];
    expect(parse('sft', ...words, ...file)?.options).toMatchObject({
      ...{ seed: 6, maxSteps: 7, packing: false, data: ['c.jsonl'], device: 'auto' },
    });
  });

  it('are all listed by --help with their defaults and choices', () => {
    expect(parse('sft', '--help')).toBeUndefined();
    const text = written.replace(/\s+/g, ' ');
    for (const part of [
      '--data <text...> training data files (required)',
      '--device <text> device; auto is the CPU for now:',
      '(auto, cpu, webgpu, cuda; default: auto)',
      '--learning-rate <number> peak step size (default: 0.00002)',
      '--no-packing',
      '--config <file>',
      '--dry-run',
    ]) {
      expect(text).toContain(part);
    }
  });

  it('are listed by command when no command is given', () => {
    expect(parse()).toBeUndefined();
    expect(written).toMatch(/sft .*fine-tune on demonstrations/);
    expect(written).toMatch(/tokenizer/);
  });
});

describe('a mistake', () => {
  it.each([
    [['stf', ...needed], 'heed stf: expected a command (sft, tokenizer), got unknown stf. Try sft.'],
    [
      ['tokenizer', 'trian'],
      'heed tokenizer trian: expected a command (train), got unknown trian. Try train.',
    ],
    [['sft', ...needed, '--learning-rte', '1'], 'Try --learning-rate.'],
    [['sft', ...needed, '--learningRate=1'], '--learningRate: expected an option of heed sft'],
    [
      ['sft', '--model', 'm', '--data', 'd'],
      'expected --out (output folder: new or empty, unless --resume), got none',
    ],
    [['sft', ...needed, '--seed', 'abc'], '--seed: expected an integer, at least 0, got "abc".'],
    [['sft', ...needed, '--seed', '-1'], '--seed: expected an integer, at least 0, got -1.'],
    [['sft', ...needed, '--max-steps', '1.5'], '--max-steps: expected an integer, at least 1, got 1.5.'],
    [['sft', ...needed, '--learning-rate', '0'], '--learning-rate: expected a number, above 0, got 0.'],
    [
      ['sft', ...needed, '--device', 'webgup'],
      'expected one of auto, cpu, webgpu, cuda, got "webgup". Try webgpu.',
    ],
    [['sft', ...needed, '--ratio', '0.25'], '--ratio: expected anything but a quarter, got 0.25.'],
    [['sft', ...needed, '--seed'], '--seed: expected a value after it, got nothing.'],
    [['sft', 'data.jsonl'], 'data.jsonl: expected an option of heed sft'],
    [['sft', '--config', 'nowhere.yaml'], '--config nowhere.yaml: expected a readable YAML file, got ENOENT'],
  ])('in %j is refused in words', (words, message) => {
    let said = '';
    try {
      parse(...words);
    } catch (error) {
      said = (error as Error).message;
    }
    expect(said).toContain(message);
  });

  it.each([
    ['seed: 1\nmax-stpes: 3\n', '2:1', 'a known key, got max-stpes. Try max-steps.'],
    ['maxSteps: 3\n', '1:1', 'a known key, got maxSteps. Try max-steps.'],
    ['seed: 1\nout: r\ndevice: gpu\n', '3:1', '(device): expected one of auto, cpu, webgpu, cuda, got "gpu"'],
    ['seed: one\n', '1:1', '(seed): expected an integer, at least 0, got "one"'],
    ['seed:\n', '1:1', '(seed): expected an integer, at least 0, got null'],
    ['seed: 1\nseed: 2\n', '2:1', 'expected YAML, got Map keys must be unique'],
    ['seed: [1\n', '2:1', 'expected YAML'],
    ['- seed\n', '1:1', 'expected keys and values'],
    ['command: dpo\n', '1:1', 'expected command: sft, got "dpo". Try heed dpo.'],
  ])('in the config %j is refused with its line', (text, place, message) => {
    const words = ['sft', '--model', 'm', '--data', 'd', '--out', 'o', ...config(text)];
    expect(() => parse(...words)).toThrow(`sft.yaml:${place}`);
    expect(() => parse(...words)).toThrow(message);
  });
});
