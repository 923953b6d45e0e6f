// Ways to spoil (or only change) the look of code without changing what it does.

import { codeTokens, declaredNames, tokenizeJavaScript } from './javascript-tokens.ts';

/** The code with its own names replaced, `solve` excepted; `rename` gets the position of the name's declaration. */
export function renameDeclared(code: string, rename: (position: number) => string): string {
  const tokens = tokenizeJavaScript(code);
  const names = declaredNames(tokens.filter(({ kind }) => kind !== 'comment')).filter(
    (name) => name !== 'solve',
  );
  const renamed = new Map(names.map((name, position) => [name, rename(position)]));
  let text = '';
  let position = 0;
  tokens.forEach((token, i) => {
    const isProperty =
      tokens[i - 1]?.text === '.' || (tokens[i - 1]?.text === '{' && tokens[i + 1]?.text === ':');
    const replacement = token.kind === 'word' && !isProperty ? renamed.get(token.text) : undefined;
    text += code.slice(position, token.start) + (replacement ?? token.text);
    position = token.end;
  });
  return text + code.slice(position);
}

const isWordLike = /[\p{L}\p{N}_$]/u;

/** On one line, without comments and spaces; every statement must end in `;` or `}`. */
export function minify(code: string): string {
  return codeTokens(code).reduce((text, token) => {
    const needsSpace = isWordLike.test(text.at(-1) ?? '') && isWordLike.test(token.text[0]);
    return text + (needsSpace ? ' ' : '') + token.text;
  }, '');
}

export function indent(lines: readonly string[], levels = 1): string[] {
  return lines.map((line) => '  '.repeat(levels) + line);
}
