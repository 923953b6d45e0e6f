// 10. What each stage cost: the only part of a report that may differ between two runs of one seed.

import { type Bilingual, count, duration, joined, memory, plain, say, wholePercent } from '../bilingual.ts';
import type { Block, Cell, Section } from '../document.ts';
import { comparedNames, keyOf, type Report, type StageCost } from '../report-json.ts';
import { marksOf } from './incidents.ts';
import { methodName, nothing } from './methods-of.ts';

export function costsSection({ costs, incidents }: Report): Section | undefined {
  if (costs.stages.length === 0) return undefined;
  const columns = [
    { label: say('costs.stage'), isNumber: false },
    { label: say('costs.time'), isNumber: true },
    { label: say('costs.memory'), isNumber: true },
    { label: say('metric.generated'), isNumber: true },
    { label: say('metric.trained'), isNumber: true },
    { label: say('costs.rate'), isNumber: true },
  ];
  const rows = costs.stages.map((stage) => stageRow(stage, marksOf(incidents[keyOf(stage.name)])));
  return {
    id: 'costs',
    title: say('costs.title'),
    short: say('costs.short'),
    blocks: [
      {
        kind: 'text',
        text: say('costs.lead', {
          time: duration(costs.seconds),
          memory: costs.peak_memory_bytes === undefined ? '–' : memory(costs.peak_memory_bytes),
        }),
      },
      ...budgetBlocks(costs),
      { kind: 'heading', text: say('costs.stages') },
      { kind: 'table', columns, rows: [...rows, totalRow(costs)] },
    ],
  };
}

/** What budgets may differ by and still be called equal. */
const tolerance = 0.2;

function budgetBlocks({ methods }: Report['costs']): Block[] {
  const names = comparedNames.filter((name) => methods[name]);
  if (names.length < 2) return [];
  const number = (label: Bilingual) => ({ label, isNumber: true });
  const rows = names.map((name): Cell[] => {
    const { tokens, seconds, peak_memory_bytes, share_of_mean: share } = methods[name]!;
    return [
      { text: methodName(name), hue: name },
      cell(tokens, count),
      cell(share.tokens, wholePercent),
      cell(seconds, duration),
      cell(share.seconds, wholePercent),
      cell(peak_memory_bytes, memory),
    ];
  });
  const columns = [
    { label: say('metric.method'), isNumber: false },
    ...[say('costs.tokens'), say('costs.ofMean'), say('costs.time'), say('costs.ofMean')].map(number),
    number(say('costs.memory')),
  ];
  return [
    { kind: 'heading', text: say('costs.budgets') },
    { kind: 'text', text: joined([say('costs.budgets.lead'), budgetVerdict(methods)]) },
    { kind: 'table', columns, rows },
  ];
}

function budgetVerdict(methods: Report['costs']['methods']): Bilingual {
  const isBeyond = (share = 1) => Math.abs(share - 1) > tolerance;
  const beyond = comparedNames.filter((name) => isBeyond(methods[name]?.share_of_mean.tokens));
  if (beyond.length === 0) return say('costs.within');
  return say('costs.beyond', { methods: joined(beyond.map(methodName), ', ') });
}

function stageRow(stage: StageCost, marks: readonly Bilingual[]): Cell[] {
  return [
    { text: joined([plain(stage.name), ...marks], ' · ') },
    cell(stage.seconds, duration),
    cell(stage.peak_memory_bytes, memory),
    cell(stage.tokens_generated, count),
    cell(stage.tokens_trained, count),
    cell(stage.tokens_per_second, count),
  ];
}

function totalRow({ seconds, peak_memory_bytes, stages }: Report['costs']): Cell[] {
  const sum = (key: 'tokens_generated' | 'tokens_trained') =>
    stages.reduce((total, stage) => total + (stage[key] ?? 0), 0);
  return [
    { text: say('costs.total') },
    cell(seconds, duration),
    cell(peak_memory_bytes, memory),
    cell(sum('tokens_generated'), count),
    cell(sum('tokens_trained'), count),
    nothing,
  ];
}

function cell(value: number | undefined, form: (value: number) => string | Bilingual): Cell {
  if (value === undefined) return nothing;
  const text = form(value);
  return { text: typeof text === 'string' ? plain(text) : text };
}
