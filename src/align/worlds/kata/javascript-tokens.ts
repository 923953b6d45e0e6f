// A small tolerant tokenizer of JavaScript: it never fails, whatever the text. Regular expressions are not told
// apart from divisions, and a template literal is one token; the solutions of this world need no more.

export type TokenKind = 'comment' | 'string' | 'number' | 'word' | 'punctuation' | 'unknown';

export interface Token {
  kind: TokenKind;
  text: string;
  /** Where it starts in the text. */
  start: number;
  end: number;
  /** Of its first character, from 0. */
  line: number;
  /** Whether a line break lies before it. */
  startsLine: boolean;
}

// An unclosed string ends with its line, an unclosed comment or template with the text.
const pattern =
  /(\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:\\.|[^'\\\n])*'?|"(?:\\.|[^"\\\n])*"?|`(?:\\[\s\S]|[^`\\])*`?)|(0[xXbBoO][\da-fA-F]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?n?|\.\d+)|([\p{L}_$#][\p{L}\p{N}_$]*)|(>>>=|\.\.\.|===|!==|\*\*=|<<=|>>=|>>>|&&=|\|\|=|\?\?=|=>|==|!=|<=|>=|&&|\|\||\?\?|\?\.|\+\+|--|\+=|-=|\*=|\/=|%=|&=|\|=|\^=|<<|>>|\*\*|[{}()[\];,<>+\-*/%&|^!~?:=.@])|(\S)/gu;
const kinds: readonly TokenKind[] = ['comment', 'string', 'number', 'word', 'punctuation', 'unknown'];

export function tokenizeJavaScript(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 0;
  let position = 0;
  for (const match of text.matchAll(pattern)) {
    const breaks = countBreaks(text, position, match.index);
    line += breaks;
    const end = match.index + match[0].length;
    const kind = kinds[match.slice(1).findIndex((group) => group !== undefined)];
    tokens.push({
      kind,
      text: match[0],
      start: match.index,
      end,
      line,
      startsLine: breaks > 0 || tokens.length === 0,
    });
    line += countBreaks(text, match.index, end);
    position = end;
  }
  return tokens;
}

function countBreaks(text: string, start: number, end: number): number {
  let count = 0;
  for (let i = start; i < end; i++) if (text[i] === '\n') count++;
  return count;
}

export const keywords: ReadonlySet<string> = new Set(
  (
    'await break case catch class const continue debugger default delete do else export extends false finally for ' +
    'function if import in instanceof let new null of return static super switch this throw true try typeof ' +
    'undefined var void while with yield async NaN Infinity'
  ).split(' '),
);

/** Code without comments, as tokens. */
export function codeTokens(text: string): Token[] {
  return tokenizeJavaScript(text).filter(({ kind }) => kind !== 'comment');
}

/**
 * The names that code declares: variables, functions and their parameters, in the order of declaration. Tolerant:
 * of broken code, what can be made out.
 */
export function declaredNames(tokens: readonly Token[]): string[] {
  const names = new Set<string>();
  tokens.forEach((token, i) => {
    const previous = tokens[i - 1]?.text;
    const next = tokens[i + 1]?.text;
    if (token.text === '=>') for (const name of parametersBefore(tokens, i)) names.add(name);
    if (token.kind !== 'word') {
      if ((token.text === '[' || token.text === '{') && isDeclarator(previous)) {
        for (const name of wordsUntilClosed(tokens, i)) names.add(name);
      }
      return;
    }
    if (keywords.has(token.text)) return;
    if (isDeclarator(previous) || previous === 'function') names.add(token.text);
    if (previous === 'function' && next === '(') {
      for (const name of wordsUntilClosed(tokens, i + 1)) names.add(name);
    }
  });
  return [...names];
}

function isDeclarator(word: string | undefined): boolean {
  return word === 'const' || word === 'let' || word === 'var';
}

function parametersBefore(tokens: readonly Token[], arrow: number): string[] {
  const before = tokens[arrow - 1];
  if (!before) return [];
  if (before.text !== ')') return before.kind === 'word' && !keywords.has(before.text) ? [before.text] : [];
  let depth = 0;
  for (let i = arrow - 1; i >= 0; i--) {
    if (tokens[i].text === ')') depth++;
    if (tokens[i].text === '(' && --depth === 0) return wordsUntilClosed(tokens, i);
  }
  return [];
}

const closing: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** Words directly inside the bracket that opens at `open`. */
function wordsUntilClosed(tokens: readonly Token[], open: number): string[] {
  const names: string[] = [];
  let depth = 0;
  for (let i = open; i < tokens.length; i++) {
    const { text, kind } = tokens[i];
    if (text in closing) depth++;
    else if (text === ')' || text === ']' || text === '}') depth--;
    if (depth === 0) break;
    if (depth === 1 && kind === 'word' && !keywords.has(text) && tokens[i - 1]?.text !== '=')
      names.push(text);
  }
  return names;
}
