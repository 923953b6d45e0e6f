// The first stage: a byte-level BPE vocabulary, learnt from text files or JSONL rows with `text`.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import type { JobContext } from '../../engine/runtime/job.ts';
import type { Tokenizer } from '../../language/text/tokenizer.ts';
import { type TrainTokenizerOptions, trainTokenizer } from '../../language/text/train.ts';
import type { RowFault } from '../data/read.ts';
import { readTexts } from '../data/texts.ts';

export interface TokenizerOptions extends Omit<TrainTokenizerOptions, 'onProgress'> {
  data: string[];
  out: string;
  specialTokens: string[];
  /** Stop at the first faulty line. */
  strict: boolean;
}

export type TokenizerEvent =
  | { type: 'fault'; fault: RowFault }
  /** Entries of the vocabulary. */
  | { type: 'progress'; done: number; total: number };

export interface TokenizerResult {
  out: string;
  vocabularySize: number;
  special: Tokenizer['special'];
  /** Of the texts, in UTF-8. */
  bytes: number;
  /** Faulty lines that were skipped. */
  skipped: number;
}

/**
 * Writes tokenizer.json and tokenizer_config.json. A role without a token gets the special token of its name, such as
 * <|eos|>, where there is one.
 * @throws UserError when `out` holds a tokenizer or the files hold no text; FormatError at the first faulty line when strict
 */
export async function trainTokenizerOnFiles(
  options: TokenizerOptions,
  { emit, signal }: JobContext<TokenizerEvent>,
): Promise<TokenizerResult> {
  refuseToOverwrite(options.out);
  let skipped = 0;
  const { documents, bytes } = await readCorpus(options.data, options.strict, (fault) => {
    skipped++;
    emit({ type: 'fault', fault });
  });
  signal.throwIfAborted();
  const role = (name: string) => options.specialTokens.find((token) => token === `<|${name}|>`);
  const tokenizer = trainTokenizer(
    documents.map(({ text }) => text),
    {
      ...options,
      bos: options.bos ?? role('bos'),
      eos: options.eos ?? role('eos'),
      pad: options.pad ?? role('pad'),
      onProgress: (done, total) => emit({ type: 'progress', done, total }),
    },
  );
  await tokenizer.save(options.out);
  const { vocabularySize, special } = tokenizer;
  return { out: options.out, vocabularySize, special, bytes, skipped };
}

export interface Corpus {
  documents: { text: string; file?: string; line?: number }[];
  /** Of the texts, in UTF-8. */
  bytes: number;
}

/** @throws UserError when the files hold no text; FormatError at the first faulty line when strict */
export async function readCorpus(
  files: readonly string[],
  strict: boolean,
  onFault: (fault: RowFault) => void,
): Promise<Corpus> {
  const corpus: Corpus = { documents: [], bytes: 0 };
  let skipped = 0;
  const count = (fault: RowFault) => {
    skipped++;
    onFault(fault);
  };
  for (const file of files) {
    for await (const { text, line } of readTexts(file, { strict, onFault: count })) {
      if (text === '') continue;
      corpus.documents.push({ text, file, line });
      corpus.bytes += Buffer.byteLength(text);
    }
  }
  if (corpus.bytes > 0) return corpus;
  const found = skipped > 0 ? `none but ${skipped} faulty lines` : 'none';
  throw new UserError({ where: `--data ${files.join(' ')}`, expected: 'text', found });
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
