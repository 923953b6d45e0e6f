// Loads a module of the user's own, in JavaScript or TypeScript. Node strips types by itself from 22.18 on; one from
// 22.13 on can strip them when asked, and older ones cannot.

import * as nodeModule from 'node:module';
import { UserError } from '../../engine/errors.ts';

/** @throws UserError for TypeScript that this Node cannot load; whatever the module throws */
export async function importModule(url: string): Promise<Record<string, unknown>> {
  try {
    return await import(url);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_UNKNOWN_FILE_EXTENSION' || !/\.[cm]?ts$/.test(url)) {
      throw error;
    }
  }
  if (!('stripTypeScriptTypes' in nodeModule)) {
    throw new UserError({
      where: url,
      expected: 'JavaScript, or a Node that loads TypeScript',
      found: `TypeScript and Node ${process.versions.node}`,
      advice: 'Node 22.18 or newer, or the JavaScript that `npx tsc` makes of the file',
    });
  }
  nodeModule.register(`data:text/javascript,${encodeURIComponent(strippingHook)}`);
  // Another URL, because Node remembers that the first could not be loaded.
  return await import(`${url}?stripped`);
}

const strippingHook = `
import { readFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
export async function load(url, context, next) {
  const [, kind] = /^file:[^?#]*\\.([cm]?)ts(?:[?#]|$)/.exec(url) ?? [];
  if (kind === undefined) return next(url, context);
  const source = stripTypeScriptTypes(await readFile(new URL(url), 'utf8'));
  return { format: kind === 'c' ? 'commonjs' : 'module', source, shortCircuit: true };
}`;
