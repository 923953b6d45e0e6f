// Reads and writes tokenizer.json and its neighbours: tokenizer_config.json, and the chat template where Transformers 5
// puts it, chat_template.jinja.

import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FormatError, UserError } from '../../engine/errors.ts';
import { readJsonFile, readTextFile } from '../read-file.ts';

export interface TokenizerSource {
  tokenizer: unknown;
  tokenizerPath: string;
  /** Undefined when there is no tokenizer_config.json. */
  configuration: unknown;
  configurationPath: string;
  /** chat_template.jinja; undefined when there is none. */
  template: string | undefined;
}

/** Of each file of a tokenizer. */
export const largestTokenizerBytes = 256 * 2 ** 20;

/**
 * @param path tokenizer.json or the folder that holds it
 * @throws UserError when it is not there, FormatError when a file is too large, not UTF-8 or not JSON
 */
export async function readTokenizerSource(path: string): Promise<TokenizerSource> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  const tokenizerPath = isFolder ? join(path, 'tokenizer.json') : path;
  const folder = isFolder ? path : dirname(path);
  const configurationPath = join(folder, 'tokenizer_config.json');
  const tokenizer = await readJson(tokenizerPath);
  if (tokenizer === undefined) {
    const advice = 'the folder of a model that comes with a tokenizer.json';
    throw new UserError({ where: tokenizerPath, expected: 'a tokenizer file', found: 'none', advice });
  }
  const configuration = await readJson(configurationPath);
  return {
    tokenizer,
    tokenizerPath,
    configuration,
    configurationPath,
    template: await readTemplate(folder),
  };
}

/** @throws FormatError where additional_chat_templates/ leaves no template for a plain conversation, or holds it */
async function readTemplate(folder: string): Promise<string | undefined> {
  const path = join(folder, 'chat_template.jinja');
  const source = (await isThere(path))
    ? await readTextFile(path, { expected: 'a Jinja template', largestBytes: largestTokenizerBytes })
    : undefined;
  const additional = join(folder, 'additional_chat_templates');
  const names = (await readdir(additional).catch(() => [])).filter((name) => name.endsWith('.jinja'));
  if (names.length > 0 && (source === undefined || names.includes('default.jinja'))) {
    throw new FormatError({
      where: additional,
      expected: 'other templates than the one for plain conversations, which belongs in chat_template.jinja',
      found: `${names.join(', ')} and ${source === undefined ? 'no' : 'a'} chat_template.jinja`,
    });
  }
  // As Python reads text.
  return source?.replaceAll(/\r\n?/g, '\n');
}

/**
 * Writes whole files or nothing: each appears under its name only when complete.
 * @param files name → bytes, a value to be written as JSON, or undefined for what is not to be there
 */
export async function writeTokenizerFiles(
  folder: string,
  files: Readonly<Record<string, unknown>>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    if (content === undefined) {
      await rm(path, { force: true });
      continue;
    }
    const unfinished = `${path}.${randomUUID()}.unfinished`;
    await writeFile(
      unfinished,
      content instanceof Uint8Array ? content : `${JSON.stringify(content, null, 2)}\n`,
    );
    await rename(unfinished, path);
  }
}

async function readJson(path: string): Promise<unknown> {
  return (await isThere(path)) ? readJsonFile(path, { largestBytes: largestTokenizerBytes }) : undefined;
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
