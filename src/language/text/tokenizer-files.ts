// Reads and writes tokenizer.json and its neighbours: tokenizer_config.json, and the chat template where Transformers 5
// puts it, chat_template.jinja.

import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { FormatError, UserError } from '../../engine/errors.ts';
import { jsonOf, readWholeFile, textOf } from '../read-file.ts';

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

/** File name → its bytes, or the value that it is written as JSON from. */
export type TokenizerFiles = Readonly<Record<string, Uint8Array | object | undefined>>;

/**
 * @param path tokenizer.json or the folder that holds it
 * @throws UserError when it is not there, FormatError when a file is too large, not UTF-8 or not JSON
 */
export async function readTokenizerSource(path: string): Promise<TokenizerSource> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  const [folder, name] = isFolder ? [path, 'tokenizer.json'] : [dirname(path), basename(path)];
  const configuration = await bytesIfThere(join(folder, 'tokenizer_config.json'));
  const template = await bytesIfThere(join(folder, 'chat_template.jinja'));
  const files = {
    'tokenizer.json': await bytesIfThere(join(folder, name)),
    'tokenizer_config.json': configuration,
    'chat_template.jinja': template,
  };
  return tokenizerSource(folder, files, name);
}

/**
 * The same of files that have been read.
 * @param folder that they lie in
 * @param name   of the file that is a tokenizer.json
 */
export async function tokenizerSource(
  folder: string,
  files: TokenizerFiles,
  name = 'tokenizer.json',
): Promise<TokenizerSource> {
  const tokenizerPath = join(folder, name);
  const configurationPath = join(folder, 'tokenizer_config.json');
  const tokenizer = jsonContent(files['tokenizer.json'], tokenizerPath);
  if (tokenizer === undefined) {
    const advice = 'the folder of a model that comes with a tokenizer.json';
    throw new UserError({ where: tokenizerPath, expected: 'a tokenizer file', found: 'none', advice });
  }
  const configuration = jsonContent(files['tokenizer_config.json'], configurationPath);
  const template = await templateOf(folder, files['chat_template.jinja']);
  return { tokenizer, tokenizerPath, configuration, configurationPath, template };
}

/** Of one JSON file of a tokenizer. */
export function jsonContent(file: Uint8Array | object | undefined, path: string): unknown {
  return file instanceof Uint8Array ? jsonOf(textOf(file, path, { expected: 'JSON' }), path) : file;
}

/** @throws FormatError where additional_chat_templates/ leaves no template for a plain conversation, or holds it */
async function templateOf(
  folder: string,
  file: Uint8Array | object | undefined,
): Promise<string | undefined> {
  const path = join(folder, 'chat_template.jinja');
  const source =
    file instanceof Uint8Array ? textOf(file, path, { expected: 'a Jinja template' }) : undefined;
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

async function bytesIfThere(path: string): Promise<Uint8Array | undefined> {
  if ((await stat(path).catch(() => undefined)) === undefined) return undefined;
  return readWholeFile(path, { expected: 'a file of a tokenizer', largestBytes: largestTokenizerBytes });
}
