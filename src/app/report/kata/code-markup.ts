// Code with its comments, strings, numbers and keywords marked for the page to colour.

import { keywords, tokenizeJavaScript } from '../../../align/worlds/kata/javascript-tokens.ts';
import { escaped } from '../charts/svg.ts';

const marked: Readonly<Record<string, string>> = { comment: 'c', string: 's', number: 'n' };

/** Any text at all: what is no code is only escaped. */
export function codeMarkup(text: string): string {
  let position = 0;
  const pieces = tokenizeJavaScript(text).map((token) => {
    const space = escaped(text.slice(position, token.start));
    position = token.end;
    const kind = token.kind === 'word' && keywords.has(token.text) ? 'k' : marked[token.kind];
    const content = escaped(token.text);
    return space + (kind ? `<span class="code-${kind}">${content}</span>` : content);
  });
  return pieces.join('') + escaped(text.slice(position));
}
