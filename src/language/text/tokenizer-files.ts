// Reads and writes tokenizer.json and its neighbour tokenizer_config.json.

import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FormatError, UserError } from '../../engine/errors.ts';

interface TokenizerFiles {
  tokenizer: unknown;
  tokenizerPath: string;
  /** Undefined when there is no tokenizer_config.json. */
  configuration: unknown;
  configurationPath: string;
}

const LARGEST_FILE = 256 * 2 ** 20;

/**
 * @param path tokenizer.json or the folder that holds it
 * @throws UserError when it is not there, FormatError when a file is too large, not UTF-8 or not JSON
 */
export async function readTokenizerFiles(path: string): Promise<TokenizerFiles> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  const tokenizerPath = isFolder ? join(path, 'tokenizer.json') : path;
  const configurationPath = join(isFolder ? path : dirname(path), 'tokenizer_config.json');
  const tokenizer = await readJson(tokenizerPath);
  if (tokenizer === undefined) {
    const advice = 'the folder of a model that comes with a tokenizer.json';
    throw new UserError({ where: tokenizerPath, expected: 'a tokenizer file', found: 'none', advice });
  }
  return { tokenizer, tokenizerPath, configuration: await readJson(configurationPath), configurationPath };
}

/** Writes whole files or nothing: each appears under its name only when complete. */
export async function writeTokenizerFiles(
  path: string,
  tokenizer: unknown,
  configuration: unknown,
): Promise<void> {
  const isFile = path.endsWith('.json');
  await mkdir(isFile ? dirname(path) : path, { recursive: true });
  await writeJson(isFile ? path : join(path, 'tokenizer.json'), tokenizer);
  if (!isFile) await writeJson(join(path, 'tokenizer_config.json'), configuration);
}

async function readJson(path: string): Promise<unknown> {
  const status = await stat(path).catch(() => undefined);
  if (!status) return undefined;
  if (!status.isFile() || status.size > LARGEST_FILE) {
    const found = status.isFile() ? `${status.size} bytes` : 'something else';
    throw new FormatError({ where: path, expected: `a file of at most ${LARGEST_FILE} bytes`, found });
  }
  const bytes = await readFile(path);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    const found = bytes.length === 0 ? 'an empty file' : (error as Error).message;
    throw new FormatError({ where: path, expected: 'JSON in UTF-8', found }, { cause: error });
  }
}

async function writeJson(path: string, value: unknown): Promise<void> {
  const unfinished = `${path}.${randomUUID()}.unfinished`;
  await writeFile(unfinished, `${JSON.stringify(value, null, 2)}\n`);
  await rename(unfinished, path);
}
