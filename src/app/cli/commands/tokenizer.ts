// heed tokenizer encode: see how a tokenizer cuts text.

import { z } from 'zod';
import { type Corpus, readCorpus } from '../../../align/methods/tokenizer.ts';
import { UserError } from '../../../engine/errors.ts';
import { Tokenizer } from '../../../language/text/tokenizer.ts';
import { stages } from '../../stages/stages.ts';
import { defineCommand } from '../command.ts';
import { showFaults } from '../show-faults.ts';
import type { Terminal } from '../terminal.ts';
import { visible } from '../visible.ts';

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
    parseSpecial: z.boolean().default(false).describe('parse special tokens written in the text'),
    strict: stages.tokenizer.schema.shape.strict,
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
    terminal.line(`${tokenCount} tokens, ${(bytes / tokenCount).toFixed(2)} bytes per token`);
    return { documents: encoded, tokenCount, bytesPerToken: bytes / tokenCount };
  },
});

async function readInput(
  { text, data, strict }: { text?: string; data?: string[]; strict: boolean },
  terminal: Terminal,
): Promise<Corpus> {
  if ((text === undefined) === (data === undefined)) {
    const found = data ? 'both' : 'neither';
    throw new UserError({ where: 'heed tokenizer encode', expected: 'either --text or --data', found });
  }
  if (data) {
    const faults = showFaults(terminal);
    const corpus = await readCorpus(data, strict, faults.add);
    faults.finish();
    return corpus;
  }
  if (text) return { documents: [{ text }], bytes: Buffer.byteLength(text) };
  throw new UserError({ where: '--text', expected: 'text', found: 'an empty one' });
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
