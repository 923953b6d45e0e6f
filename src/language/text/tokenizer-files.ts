// Reads and writes tokenizer.json and its neighbour tokenizer_config.json.

import { randomUUID } from 'node:crypto';
import { mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import { readJsonFile } from '../read-file.ts';

interface TokenizerFiles {
  tokenizer: unknown;
  tokenizerPath: string;
  /** Undefined when there is no tokenizer_config.json. */
  configuration: unknown;
  configurationPath: string;
}

/** Of each file of a tokenizer. */
export const largestTokenizerBytes = 256 * 2 ** 20;

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
  if (!(await stat(path).catch(() => undefined))) return undefined;
  return readJsonFile(path, { largestBytes: largestTokenizerBytes });
}

async function writeJson(path: string, value: unknown): Promise<void> {
  const unfinished = `${path}.${randomUUID()}.unfinished`;
  await writeFile(unfinished, `${JSON.stringify(value, null, 2)}\n`);
  await rename(unfinished, path);
}
