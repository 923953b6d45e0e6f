// The skeleton of a solution: what is left when its own names and its literals are taken for equal. Two problems
// with one skeleton ask for the same program; the split into training and held-out problems goes by it.

import { codeTokens, declaredNames } from './javascript-tokens.ts';

/** Declared names become `name0`, `name1` … in order of appearance, literals `0`; comments and spaces vanish. */
export function skeleton(code: string): string {
  const tokens = codeTokens(code);
  const declared = new Set(declaredNames(tokens));
  const numbered = new Map<string, string>();
  return tokens
    .map(({ kind, text }, i) => {
      if (kind === 'number' || kind === 'string') return '0';
      if (kind !== 'word' || !declared.has(text) || tokens[i - 1]?.text === '.') return text;
      if (!numbered.has(text)) numbered.set(text, `name${numbered.size}`);
      return numbered.get(text)!;
    })
    .join(' ');
}
