// Which parts of a rendered conversation are trained, and which parts a person wrote. Both are found by rendering the
// template once a sequence of roles with placeholders for the contents, so that no content can pass for a turn, and
// every row is then checked against its real rendering.

import type { Message, Role } from './records.ts';
import type { ChatTemplate } from './template.ts';

/** A stretch of a rendered conversation. Only the template's own text may hold special tokens. */
export interface Span {
  text: string;
  isTrained: boolean;
  isTemplate: boolean;
}

/** `spans` joined are exactly the rendered text; `end` spans stand for an EOS token that the template leaves out. */
export type ChatSpans = { kind: 'spans'; spans: (Span | 'end')[] } | { kind: 'mismatch'; reason: string };

type PlannedSpan = { text: string; isTrained: boolean } | { message: number; isTrained: boolean } | 'end';

const plans = new WeakMap<ChatTemplate, Map<string, PlannedSpan[] | string>>();

/**
 * Splits a conversation into spans. Trained: the turns that are marked (by default all of the assistant) from where
 * generation would begin (the rendering up to the turn, with its generation prompt) through the token that ends the turn.
 * A mismatch is reported when generation would see other text than training does: the template rewrites contents or
 * earlier turns, or its generation prompt is no prefix of the turn.
 */
export function findChatSpans(
  messages: readonly Message[],
  template: ChatTemplate,
  isTrained: readonly boolean[] = messages.map(({ role }) => role === 'assistant'),
): ChatSpans {
  const turns = messages.map(({ role }, i) => ({ role, isTrained: isTrained[i] }));
  const plan = planFor(turns, template);
  if (typeof plan === 'string') return { kind: 'mismatch', reason: plan };
  const rendered = template.render(messages, { addGenerationPrompt: false });
  for (const contentOf of [plainContent, trimmedContent]) {
    const spans = plan.map((span) => fill(span, messages, contentOf));
    if (spans.map((span) => (span === 'end' ? '' : span.text)).join('') === rendered) {
      return { kind: 'spans', spans };
    }
  }
  return { kind: 'mismatch', reason: 'the chat template rewrites the contents of messages' };
}

/** The prompt of the next assistant turn as spans, none of them trained; joined they are the rendered text. */
export function findPromptSpans(messages: readonly Message[], template: ChatTemplate): ChatSpans {
  const placeholders = messages.map(({ role }, i) => ({ role, content: placeholder(i) }));
  const skeleton = template.render(placeholders, { addGenerationPrompt: true });
  const plan = cutAtPlaceholders(skeleton, false);
  const rendered = template.render(messages, { addGenerationPrompt: true });
  for (const contentOf of [plainContent, trimmedContent]) {
    const spans = plan.map((span) => fill(span, messages, contentOf) as Span);
    if (spans.map(({ text }) => text).join('') === rendered) return { kind: 'spans', spans };
  }
  return { kind: 'mismatch', reason: 'the chat template rewrites the contents of messages' };
}

const plainContent = (message: Message): string => message.content;
const trimmedContent = (message: Message): string => message.content.trim();

function fill(
  span: PlannedSpan,
  messages: readonly Message[],
  contentOf: (message: Message) => string,
): Span | 'end' {
  if (span === 'end') return span;
  const { isTrained } = span;
  if ('text' in span) return { text: span.text, isTrained, isTemplate: true };
  return { text: contentOf(messages[span.message]), isTrained, isTemplate: false };
}

interface PlannedTurn {
  role: Role;
  isTrained: boolean;
}

function planFor(turns: readonly PlannedTurn[], template: ChatTemplate): PlannedSpan[] | string {
  let known = plans.get(template);
  if (!known) {
    known = new Map();
    plans.set(template, known);
  }
  const key = turns.map(({ role, isTrained }) => `${role}${isTrained ? '+' : ''}`).join(' ');
  let plan = known.get(key);
  if (plan === undefined) {
    plan = makePlan(turns, template);
    known.set(key, plan);
  }
  return plan;
}

/** Private-use characters, which no template writes or trims. */
function placeholder(message: number): string {
  return `\uE000${message}\uE001`;
}

function makePlan(turns: readonly PlannedTurn[], template: ChatTemplate): PlannedSpan[] | string {
  const messages = turns.map(({ role }, i) => ({ role, content: placeholder(i) }));
  const skeleton = template.render(messages, { addGenerationPrompt: false });
  const plan: PlannedSpan[] = [];
  let done = 0;
  for (const [i, { isTrained }] of turns.entries()) {
    if (!isTrained) continue;
    const turn = locateTurn(i, messages, skeleton, template);
    if (typeof turn === 'string') return turn;
    plan.push(...cutAtPlaceholders(skeleton.slice(done, turn.start), false));
    plan.push(...cutAtPlaceholders(skeleton.slice(turn.start, turn.end), true));
    if (turn.needsEnd) plan.push('end');
    done = turn.end;
  }
  plan.push(...cutAtPlaceholders(skeleton.slice(done), false));
  return plan;
}

interface Turn {
  start: number;
  end: number;
  /** The template writes nothing after the content that could end the turn. */
  needsEnd: boolean;
}

function locateTurn(
  index: number,
  messages: readonly Message[],
  skeleton: string,
  template: ChatTemplate,
): Turn | string {
  const prompt = template.render(messages.slice(0, index), { addGenerationPrompt: true });
  const content = placeholder(index);
  const contentStart = skeleton.indexOf(content);
  if (contentStart < 0) return `the chat template leaves out assistant turn ${index + 1}`;
  if (!skeleton.startsWith(prompt) || prompt.length > contentStart) {
    return "the chat template's generation prompt is not how its assistant turns begin";
  }
  const upToTurn = template.render(messages.slice(0, index + 1), { addGenerationPrompt: false });
  const tail = upToTurn.slice(upToTurn.lastIndexOf(content) + content.length).trimEnd();
  const contentEnd = contentStart + content.length;
  if (!skeleton.startsWith(tail, contentEnd)) return 'the chat template ends its last turn in another way';
  return { start: prompt.length, end: contentEnd + tail.length, needsEnd: tail === '' };
}

function cutAtPlaceholders(text: string, isTrained: boolean): PlannedSpan[] {
  const parts = text.split(/\uE000(\d+)\uE001/);
  return parts
    .map((part, i) => (i % 2 === 1 ? { message: Number(part), isTrained } : { text: part, isTrained }))
    .filter((span) => !('text' in span) || span.text !== '');
}
