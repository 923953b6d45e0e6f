// A vocabulary, learnt from text.

import { z } from 'zod';
import type { trainTokenizerOnFiles } from '../../align/methods/tokenizer.ts';
import type { InitialAlphabet, SplitPattern } from '../../language/text/train.ts';
import { anyTexts, text, texts } from './options.ts';
import { stageOptions } from './shared-options.ts';
import { defineStage, jobOf } from './stage.ts';
import { line } from './summary.ts';

const initialAlphabets = ['bytes', 'seen'] as const satisfies readonly InitialAlphabet[];
const splitPatterns = ['gpt2', 'digits', 'llama3', 'qwen2'] as const satisfies readonly SplitPattern[];

export const tokenizer = defineStage({
  name: 'tokenizer train',
  description: 'train a byte-level BPE tokenizer on text files or JSONL rows with `text`',
  schema: z.object({
    data: texts('input', 'files to learn from'),
    out: text('output', 'output folder for tokenizer.json'),
    vocabularySize: z.int().min(1).default(4096).describe('vocabulary size, special tokens included'),
    specialTokens: anyTexts('words', 'tokens that are never split; they get the first ids, in this order'),
    bos: text('words', 'begin-of-text token (default: <|bos|> if it is a special token)').optional(),
    eos: text('words', 'end-of-text token (default: <|eos|> if it is a special token)').optional(),
    pad: text('words', 'padding token (default: <|pad|> if it is a special token)').optional(),
    minFrequency: z.int().min(1).default(2).describe('minimum frequency of a merged pair'),
    initialAlphabet: z
      .enum(initialAlphabets)
      .default('bytes')
      .describe(
        'initial alphabet: all 256 bytes, or only those seen in the text, so that others are dropped',
      ),
    splitPattern: z.enum(splitPatterns).default('gpt2').describe('how text is split before merging'),
    strict: stageOptions.strict.describe('stop at the first faulty line instead of skipping it'),
  }),
  job: jobOf<typeof trainTokenizerOnFiles>(
    new URL('../../align/methods/tokenizer.js', import.meta.url),
    'trainTokenizerOnFiles',
  ),
  progress: (event) =>
    event.type === 'progress' ? { unit: 'tokens', done: event.done, total: event.total } : undefined,
  summary: ({ out, vocabularySize, bytes }, options) => [
    line(`${out}: ${vocabularySize} tokens, learnt from ${bytes} bytes`),
    ...(vocabularySize < options.vocabularySize
      ? [
          {
            kind: 'warning' as const,
            text: `only ${vocabularySize} of ${options.vocabularySize} tokens: the text holds no more frequent pairs`,
          },
        ]
      : []),
  ],
});
