// heed tokenizer train: learn a vocabulary from text. heed tokenizer encode: see how a tokenizer cuts text.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readTexts } from '../../../align/data/texts.ts';
import { UserError } from '../../../engine/errors.ts';
import { Tokenizer } from '../../../language/text/tokenizer.ts';
import { type InitialAlphabet, type SplitPattern, trainTokenizer } from '../../../language/text/train.ts';
import { defineCommand } from '../command.ts';
import type { Terminal } from '../terminal.ts';
import { visible } from '../visible.ts';

/** So many are named one by one; then only their number. */
const namedFaults = 10;
const initialAlphabets = ['bytes', 'seen'] as const satisfies readonly InitialAlphabet[];
const splitPatterns = ['gpt2', 'digits', 'llama3', 'qwen2'] as const satisfies readonly SplitPattern[];
const strict = z.boolean().default(false).describe('stop at the first faulty line instead of leaving it out');

export const tokenizerTrain = defineCommand({
  name: 'tokenizer train',
  description: 'learn a byte-level BPE tokenizer from text files or JSONL rows with `text`',
  options: z.object({
    data: z.array(z.string()).min(1).describe('files to learn from'),
    out: z.string().describe('folder to write tokenizer.json into'),
    vocabularySize: z.int().min(1).default(4096).describe('entries in all, special tokens included'),
    specialTokens: z
      .array(z.string())
      .default([])
      .describe('tokens that are never split, first ids in this order'),
    bos: z.string().optional().describe('token that begins a text; <|bos|> if that is a special token'),
    eos: z.string().optional().describe('token that ends a text; <|eos|> if that is a special token'),
    pad: z.string().optional().describe('token that fills up a batch; <|pad|> if that is a special token'),
    minFrequency: z.int().min(1).default(2).describe('how often a pair must occur to be merged'),
    initialAlphabet: z
      .enum(initialAlphabets)
      .default('bytes')
      .describe('first entries: all 256 bytes, or only those seen in the text, others being dropped'),
    splitPattern: z.enum(splitPatterns).default('gpt2').describe('how text is cut before merging'),
    strict,
  }),
  async run(options, terminal, signal) {
    refuseToOverwrite(options.out);
    const corpus = await readCorpus(options.data, options.strict, terminal);
    signal.throwIfAborted();
    const role = (name: string) => options.specialTokens.find((token) => token === `<|${name}|>`);
    const progress = terminal.progress({ label: 'tokenizer', unit: 'tokens', total: options.vocabularySize });
    const tokenizer = trainTokenizer(
      corpus.documents.map(({ text }) => text),
      {
        ...options,
        bos: options.bos ?? role('bos'),
        eos: options.eos ?? role('eos'),
        pad: options.pad ?? role('pad'),
        onProgress: (done) => progress.update(done),
      },
    );
    progress.finish();
    await tokenizer.save(options.out);
    const { vocabularySize, special } = tokenizer;
    terminal.line(`${options.out}: ${vocabularySize} tokens, learnt from ${corpus.bytes} bytes`);
    if (vocabularySize < options.vocabularySize) {
      terminal.warn(
        `only ${vocabularySize} of ${options.vocabularySize} tokens: the text holds no more frequent pairs`,
      );
    }
    return { out: options.out, vocabularySize, special, bytes: corpus.bytes, skipped: corpus.skipped };
  },
});

export const tokenizerEncode = defineCommand({
  name: 'tokenizer encode',
  description: 'show the tokens and ids of a text or of files',
  options: z.object({
    model: z.string().describe('folder with tokenizer.json, or that file'),
    text: z.string().optional().describe('text to encode'),
    data: z.array(z.string()).min(1).optional().describe('files to encode, instead of --text'),
    addSpecialTokens: z
      .boolean()
      .default(false)
      .describe("add the template's tokens, such as a begin-of-text"),
    parseSpecial: z.boolean().default(false).describe('read special tokens written in the text as such'),
    strict,
  }),
  async run(options, terminal, signal) {
    const tokenizer = await Tokenizer.load(options.model);
    const { bytes, documents } = await readInput(options, terminal);
    const encoded = [];
    for (const document of documents) {
      signal.throwIfAborted();
      const ids = tokenizer.encode(document.text, options);
      const tokens = ids.map((id) => readableToken(tokenizer.tokenBytes(id)));
      showTokens(ids, tokens, terminal);
      encoded.push({ file: document.file, line: document.line, ids, tokens });
    }
    const tokenCount = encoded.reduce((sum, { ids }) => sum + ids.length, 0);
    terminal.line(`${tokenCount} tokens, ${(bytes / tokenCount).toFixed(2)} bytes a token`);
    return { documents: encoded, tokenCount, bytesPerToken: bytes / tokenCount };
  },
});

interface Corpus {
  documents: { text: string; file?: string; line?: number }[];
  /** Of the texts, in UTF-8. */
  bytes: number;
  /** Faulty lines left out. */
  skipped: number;
}

async function readCorpus(files: readonly string[], strict: boolean, terminal: Terminal): Promise<Corpus> {
  const corpus: Corpus = { documents: [], bytes: 0, skipped: 0 };
  for (const file of files) {
    const onFault = ({ line, reason }: { line: number; reason: string }) => {
      if (corpus.skipped++ < namedFaults) terminal.warn(`${file}:${line}: left out: ${reason}`);
    };
    for await (const { text, line } of readTexts(file, { strict, onFault })) {
      if (text === '') continue;
      corpus.documents.push({ text, file, line });
      corpus.bytes += Buffer.byteLength(text);
    }
  }
  if (corpus.skipped > namedFaults) terminal.warn(`${corpus.skipped} faulty lines left out in all`);
  if (corpus.bytes > 0) return corpus;
  const found = corpus.skipped > 0 ? `none but ${corpus.skipped} faulty lines` : 'none';
  throw new UserError({ where: `--data ${files.join(' ')}`, expected: 'text', found });
}

async function readInput(
  { text, data, strict }: { text?: string; data?: string[]; strict: boolean },
  terminal: Terminal,
): Promise<Corpus> {
  if ((text === undefined) === (data === undefined)) {
    const found = data ? 'both' : 'neither';
    throw new UserError({ where: 'heed tokenizer encode', expected: 'either --text or --data', found });
  }
  if (data) return readCorpus(data, strict, terminal);
  if (text) return { documents: [{ text }], bytes: Buffer.byteLength(text), skipped: 0 };
  throw new UserError({ where: '--text', expected: 'text', found: 'an empty one' });
}

function refuseToOverwrite(out: string): void {
  const file = join(out, 'tokenizer.json');
  if (!existsSync(file)) return;
  throw new UserError({
    where: `--out ${out}`,
    expected: 'a folder without a tokenizer',
    found: file,
    advice: 'another --out',
  });
}

/** Tokens in two colours in turn, or between bars; then their ids. */
function showTokens(ids: readonly number[], tokens: readonly string[], terminal: Terminal): void {
  const inColour = tokens.map((token, i) => terminal.coloured(token, i % 2 === 0 ? 'cyan' : 'yellow'));
  const hasColours = inColour.some((token, i) => token !== tokens[i]);
  terminal.line(hasColours ? inColour.join('') : `|${tokens.join('|')}|`);
  terminal.line(ids.join(' '));
}

/** A token's text on one line; bytes that are no whole character as `\xe3`. */
function readableToken(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return visible(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t');
  } catch {
    return [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
  }
}
