// Text with parts that are trained and parts that are not, to ids and a flag a token. The ids of everything before a
// trained part are always those that generation would be given, so no token at the border can differ.

import { type PromptTokenizer, tokenName } from '../../language/text/prompt-tokenizer.ts';

/** Text in which no special token is parsed, or one token. */
export type Part = { text: string; isTrained: boolean } | { id: number; isTrained: boolean };

export interface FlaggedTokens {
  ids: number[];
  /** 1 = trained. */
  isTrained: number[];
  /** Borders where the tokenizer would have joined prompt and completion; there both sides are encoded apart. */
  splitBorders: number;
}

/** Encodes the parts in order. Text is encoded across neighbouring parts, up to the next token part. */
export function encodeParts(parts: readonly Part[], tokenizer: PromptTokenizer): FlaggedTokens {
  const result: FlaggedTokens = { ids: [], isTrained: [], splitBorders: 0 };
  let context = '';
  let completion = '';
  const flush = (): void => {
    if (context !== '' || completion !== '') encodeBorder(context, completion, tokenizer, result);
    context = '';
    completion = '';
  };
  for (const part of parts) {
    if ('id' in part) {
      flush();
      append(result, [part.id], part.isTrained);
    } else if (part.isTrained) completion += part.text;
    else {
      if (completion !== '') flush();
      context += part.text;
    }
  }
  flush();
  return result;
}

/** Encodes context and completion as one text when that leaves the context's own ids as they are. */
function encodeBorder(
  context: string,
  completion: string,
  tokenizer: PromptTokenizer,
  result: FlaggedTokens,
): void {
  const contextIds = context === '' ? [] : tokenizer.encode(context);
  append(result, contextIds, false);
  if (completion === '') return;
  const whole = tokenizer.encode(context + completion);
  if (contextIds.every((id, i) => whole[i] === id)) {
    append(result, whole.slice(contextIds.length), true);
  } else {
    append(result, tokenizer.encode(completion), true);
    result.splitBorders++;
  }
}

function append(result: FlaggedTokens, ids: readonly number[], isTrained: boolean): void {
  for (const id of ids) {
    result.ids.push(id);
    result.isTrained.push(isTrained ? 1 : 0);
  }
}

const templateTexts = new WeakMap<PromptTokenizer, Map<string, (string | number)[]>>();

/** A template's own text cut at its special tokens: texts and token ids. */
export function parseTemplateText(text: string, tokenizer: PromptTokenizer): (string | number)[] {
  let known = templateTexts.get(tokenizer);
  if (!known) {
    known = new Map();
    templateTexts.set(tokenizer, known);
  }
  let parts = known.get(text);
  if (!parts) {
    parts = cutAtSpecialTokens(text, tokenizer);
    known.set(text, parts);
  }
  return parts;
}

function cutAtSpecialTokens(text: string, tokenizer: PromptTokenizer): (string | number)[] {
  const parts: (string | number)[] = [];
  let done = 0;
  for (const id of tokenizer.encode(text, { parseSpecial: true })) {
    const name = tokenName(tokenizer, id);
    const at = text.indexOf(name, done);
    if (at < 0 || name === '' || !isSpecial(id, name, tokenizer)) continue;
    if (at > done) parts.push(text.slice(done, at));
    parts.push(id);
    done = at + name.length;
  }
  if (done < text.length) parts.push(text.slice(done));
  return parts;
}

function isSpecial(id: number, name: string, tokenizer: PromptTokenizer): boolean {
  const parsed = tokenizer.encode(name, { parseSpecial: true });
  const plain = tokenizer.encode(name);
  return parsed.length === 1 && parsed[0] === id && !(plain.length === 1 && plain[0] === id);
}

/** What looks like the name of a control token: `<|im_end|>`, `</s>`, `[INST]`. */
const controlName = /<[|\uFF5C]?\/?[^\s<>]{1,40}>|\[\/?[A-Z_]{3,20}\]/gu;
const controlNames = new WeakMap<PromptTokenizer, Map<string, boolean>>();

/** Whether a text holds the name of one of the tokenizer's special tokens. */
export function namesControlToken(text: string, tokenizer: PromptTokenizer): boolean {
  let known = controlNames.get(tokenizer);
  if (!known) {
    known = new Map();
    controlNames.set(tokenizer, known);
  }
  for (const [name] of text.matchAll(controlName)) {
    let isName = known.get(name);
    if (isName === undefined) {
      const [id, ...rest] = tokenizer.encode(name, { parseSpecial: true });
      isName = rest.length === 0 && id !== undefined && isSpecial(id, name, tokenizer);
      if (known.size < mostControlNames) known.set(name, isName);
    }
    if (isName) return true;
  }
  return false;
}

/** Of a text in HTML there may be any number. */
const mostControlNames = 1000;
