// What several sections ask of a report.

import type { Bilingual } from '../bilingual.ts';
import { isWord, plain, say } from '../bilingual.ts';
import type { Cell } from '../document.ts';
import { type MethodName, type MethodReport, methodNames, type Report, stageOf } from '../report-json.ts';

/** The methods that were measured, in their order. */
export function measured(report: Report): { name: MethodName; method: MethodReport }[] {
  return methodNames.flatMap((name) => {
    const method = report.methods[name];
    return method ? [{ name, method }] : [];
  });
}

export function methodName(name: MethodName): Bilingual {
  return say(`method.${name}`);
}

export function shortName(name: MethodName): Bilingual {
  return say(`short.${name}`);
}

/** What a stage makes; its own name where there is no word for it. */
export function stageTitle(key: string): Bilingual {
  const known = [`method.${key}`, `pipeline.name.${key}`].find(isWord);
  return known ? say(known) : plain(stageOf(key));
}

export const nothing: Cell = { text: { en: '–', ko: '–' } };
