// 8. The same requests answered by every model, side by side.

import { fixed, percent, plain, say, withBounds } from '../bilingual.ts';
import type { Block, Section, ShownAnswer } from '../document.ts';
import { type MethodName, methodNames, type Report, type Sample, type SampleAnswer } from '../report-json.ts';
import { methodName } from './methods-of.ts';

export function samplesSection(report: Report): Section | undefined {
  if (report.samples.length === 0) return undefined;
  const coaching = coachingTable(report);
  return {
    id: 'samples',
    title: say('samples.title'),
    short: say('samples.short'),
    blocks: [
      { kind: 'text', text: say('samples.lead') },
      ...report.samples.map((sample, i) => answersBlock(sample, i + 1, i === 0)),
      ...(coaching ? [{ kind: 'heading' as const, text: say('coaching.table') }, coaching] : []),
    ],
  };
}

export function answersBlock(sample: Sample, number: number, isOpen: boolean): Block {
  const isCoaching = sample.kind === 'coach';
  const names = methodNames.filter((name) => sample.answers[name]);
  return {
    kind: 'answers',
    title: isCoaching ? say('samples.coaching') : say('samples.request', { number: String(number) }),
    request: sample.prompt,
    right: sample.answer,
    answers: names.map((name) => shownAnswer(name, sample.answers[name]!, !isCoaching)),
    isOpen,
  };
}

function shownAnswer(name: MethodName, answer: SampleAnswer, isCode: boolean): ShownAnswer {
  return {
    name: methodName(name),
    hue: name,
    text: answer.text,
    isCode: isCode && looksLikeCode(answer.text),
    verdicts: verdictsOf(answer),
  };
}

/** A base model goes on in prose. */
function looksLikeCode(text: string): boolean {
  return /[{}]|=>/.test(text);
}

function verdictsOf({ passed, right, readability, proxy }: SampleAnswer): ShownAnswer['verdicts'] {
  const verdicts: ShownAnswer['verdicts'] = [];
  if (right !== undefined) {
    verdicts.push({ text: say(right ? 'verdict.right' : 'verdict.wrong'), tone: right ? 'good' : 'bad' });
  } else if (passed !== undefined) {
    verdicts.push({ text: say(passed ? 'verdict.passed' : 'verdict.failed'), tone: passed ? 'good' : 'bad' });
  }
  if (readability !== undefined) {
    verdicts.push({ text: say('verdict.readability', { value: fixed(2)(readability) }), tone: 'quiet' });
  }
  if (proxy !== undefined)
    verdicts.push({ text: say('verdict.proxy', { value: fixed(2)(proxy) }), tone: 'quiet' });
  return verdicts;
}

function coachingTable({ coaching }: Report): Extract<Block, { kind: 'table' }> | undefined {
  const names = methodNames.filter((name) => coaching[name]);
  if (names.length === 0) return undefined;
  return {
    kind: 'table',
    columns: [
      { label: say('metric.method'), isNumber: false },
      { label: say('coaching.right'), isNumber: true },
      { label: say('coaching.majority'), isNumber: true },
    ],
    rows: names.map((name) => {
      const { right, majority } = coaching[name]!;
      return [
        { text: methodName(name), hue: name },
        { text: plain(withBounds(right, percent)) },
        { text: plain(withBounds(majority, percent)) },
      ];
    }),
  };
}
