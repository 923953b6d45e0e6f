// Added tokens: strings that are found in the text before it is normalized and cut, such as <|im_start|>.
// The longest one at the leftmost place wins. Each may ask for a word of its own, or for the spaces beside it.

import type { JsonField } from './json-field.ts';

export interface AddedToken {
  id: number;
  content: string;
  /** Control token, as opposed to text that merely is one token. */
  special: boolean;
  /** Matched only where no letter, digit or underscore touches it. */
  singleWord: boolean;
  /** Takes the white space on its left (right) with it. */
  stripsLeft: boolean;
  stripsRight: boolean;
  /** Looked for in the normalized text instead of the text as it came. */
  normalized: boolean;
}

/** A stretch of text that is an added token, or (without `id`) text to be encoded. */
export interface Section {
  start: number;
  end: number;
  id?: number;
}

export function readAddedTokens(field: JsonField, idBound: number): AddedToken[] {
  if (!field.present) return [];
  return field.items().map((token) => {
    return {
      content: readContent(token),
      id: token.at('id').integerBelow(idBound),
      special: token.at('special').boolean(false),
      ...readPlacement(token, true),
    };
  });
}

function readContent(token: JsonField): string {
  const content = token.at('content').string();
  return content === '' ? token.at('content').fail('a token of at least one character') : content;
}

function readPlacement(token: JsonField, isNormalized: boolean) {
  return {
    singleWord: token.at('single_word').boolean(false),
    stripsLeft: token.at('lstrip').boolean(false),
    stripsRight: token.at('rstrip').boolean(false),
    normalized: token.at('normalized').boolean(isNormalized),
  };
}

/**
 * tokenizer.json's added tokens with tokenizer_config.json's `added_tokens_decoder` laid over them, as Transformers does:
 * its flags win (but what is special stays special), and its tokens that tokenizer.json lacks get the next free ids.
 * @throws FormatError where such a token is listed under another id
 */
export function overlayAddedTokens(
  own: readonly AddedToken[],
  decoder: JsonField,
  vocabulary: ReadonlyMap<string, number>,
): AddedToken[] {
  if (!decoder.present) return [...own];
  const known = new Map(own.map((token) => [token.content, token]));
  const laid = new Map<string, AddedToken>();
  const taken = new Set(vocabulary.values());
  let next = own.reduce((most, { id }) => Math.max(most, id + 1), vocabulary.size);
  for (const key of Object.keys(decoder.record())) {
    const field = decoder.at(key);
    const content = readContent(field);
    const id = (laid.get(content) ?? known.get(content))?.id ?? vocabulary.get(content) ?? next;
    const isNew = !known.has(content) && !vocabulary.has(content);
    if (isNew && taken.has(id)) field.fail(`an id for ${JSON.stringify(content)} that no other token has`);
    if (key !== String(id))
      field.fail(`${JSON.stringify(content)} under ${id}, the id that Transformers gives it`);
    const isListedSpecial = field.at('special').boolean(false);
    const special = known.get(content)?.special || isListedSpecial;
    laid.set(content, { id, content, special, ...readPlacement(field, !isListedSpecial) });
    next = Math.max(next, id + 1);
  }
  const added = [...laid.values()].filter(({ content }) => !known.has(content));
  return [...own.map((token) => laid.get(token.content) ?? token), ...added];
}

/** A level of a prefix tree over UTF-16 units. */
interface Branch {
  next: Map<number, Branch>;
  token?: AddedToken;
}

export class AddedTokenFinder {
  private readonly root: Branch = { next: new Map() };

  constructor(tokens: readonly AddedToken[], spelling: (content: string) => string) {
    for (const token of tokens) this.plant(spelling(token.content), token);
  }

  /** Cuts `text` at its added tokens; special ones are left as text unless `parseSpecial`. No section is empty. */
  split(text: string, parseSpecial: boolean): Section[] {
    const sections: Section[] = [];
    let done = 0;
    for (let at = 0; at < text.length && this.root.next.size > 0; ) {
      const found = this.longestAt(text, at);
      const token = found?.token;
      const end = found?.end ?? at + 1;
      if (token && (parseSpecial || !token.special) && standsAlone(token, text, at, end)) {
        const start = token.stripsLeft ? Math.max(done, spacesBefore(text, at)) : at;
        if (start > done) sections.push({ start: done, end: start });
        done = token.stripsRight ? spacesAfter(text, end) : end;
        sections.push({ start, end: done, id: token.id });
      }
      at = Math.max(end, done);
    }
    if (done < text.length) sections.push({ start: done, end: text.length });
    return sections;
  }

  private plant(spelled: string, token: AddedToken): void {
    let branch = this.root;
    for (let i = 0; i < spelled.length; i++) {
      const unit = spelled.charCodeAt(i);
      const next = branch.next.get(unit) ?? { next: new Map() };
      branch.next.set(unit, next);
      branch = next;
    }
    if (branch !== this.root) branch.token ??= token;
  }

  private longestAt(text: string, at: number): { token: AddedToken; end: number } | undefined {
    let longest: { token: AddedToken; end: number } | undefined;
    let branch = this.root.next.get(text.charCodeAt(at));
    for (let end = at + 1; branch; end++) {
      if (branch.token) longest = { token: branch.token, end };
      branch = branch.next.get(text.charCodeAt(end));
    }
    return longest;
  }
}

const wordAtEnd = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const wordAtStart = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const space = /\p{White_Space}/u;

function standsAlone(token: AddedToken, text: string, start: number, end: number): boolean {
  if (!token.singleWord) return true;
  return (
    !wordAtEnd.test(text.slice(Math.max(0, start - 2), start)) && !wordAtStart.test(text.slice(end, end + 2))
  );
}

function spacesBefore(text: string, end: number): number {
  let start = end;
  while (start > 0 && space.test(text[start - 1])) start--;
  return start;
}

function spacesAfter(text: string, start: number): number {
  let end = start;
  while (end < text.length && space.test(text[end])) end++;
  return end;
}
