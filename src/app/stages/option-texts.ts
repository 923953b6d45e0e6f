// What the text of an option names: a model or file that the stage reads, with what follows its path.

import type { TextKind } from './options.ts';

export interface NamedInput {
  path: string;
  /** What follows the path, such as `#short*0.5`. */
  part: string;
}

/**
 * @param holds what the option's texts stand for
 * @returns undefined for a text that names nothing to read, or what an earlier stage makes
 */
export function inputNamedBy(holds: TextKind | undefined, text: string): NamedInput | undefined {
  if (text.includes('${')) return undefined;
  if (holds === 'model' || holds === 'input') return { path: text, part: '' };
  if (holds !== 'reward' || text.startsWith('kata:')) return undefined;
  const part = /(?:(?<=\.[cm]?[jt]s)#\w+)?(?:\*[^*/]+)?$/.exec(text)![0];
  return { path: text.slice(0, text.length - part.length), part };
}

/** Models among an option's texts: of rewards those that are no function. */
export function modelsNamedBy(holds: TextKind | undefined, texts: readonly string[]): string[] {
  if (holds !== 'reward') return [...texts];
  return texts
    .filter((text) => !text.startsWith('kata:') && !/\.[cm]?[jt]s#\w+/.test(text))
    .map((text) => text.replace(/\*[^*/]+$/, ''));
}
