// 10. What each stage cost: the only part of a report that may differ between two runs of one seed.

import {
  type Bilingual,
  count,
  duration,
  isWord,
  joined,
  memory,
  plain,
  say,
  wholePercent,
} from '../bilingual.ts';
import type { Block, Cell, Section } from '../document.ts';
import type { Names } from '../names.ts';
import type { Report, StageCost } from '../report-json.ts';
import { nothing } from './figures.ts';
import { marksOf } from './incidents.ts';

export function costsSection({ costs, incidents }: Report, names: Names): Section | undefined {
  if (costs.stages.length === 0) return undefined;
  const columns = [
    { label: say('costs.stage'), isNumber: false },
    { label: say('costs.time'), isNumber: true },
    { label: say('costs.memory'), isNumber: true },
    { label: say('metric.generated'), isNumber: true },
    { label: say('metric.trained'), isNumber: true },
    { label: say('costs.rate'), isNumber: true },
  ];
  const rows = costs.stages.map((stage) => stageRow(stage, marksOf(incidents[stage.name])));
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
      ...budgetBlocks(costs, names),
      { kind: 'heading', text: say('costs.stages') },
      { kind: 'table', columns, rows: [...rows, totalRow(costs)] },
      ...memoryBlocks(costs),
    ],
  };
}

/** What budgets may differ by and still be called equal. */
const tolerance = 0.2;

function budgetBlocks({ methods }: Report['costs'], names: Names): Block[] {
  const compared = Object.entries(methods);
  if (compared.length < 2) return [];
  const number = (label: Bilingual) => ({ label, isNumber: true });
  const rows = compared.map(
    ([name, { tokens, seconds, peak_memory_bytes, share_of_mean: share }]): Cell[] => {
      return [
        { text: names.full(name), hue: names.hue(name) },
        cell(tokens, count),
        cell(share.tokens, wholePercent),
        cell(seconds, duration),
        cell(share.seconds, wholePercent),
        cell(peak_memory_bytes, memory),
      ];
    },
  );
  const columns = [
    { label: say('metric.method'), isNumber: false },
    ...[say('costs.tokens'), say('costs.ofMean'), say('costs.time'), say('costs.ofMean')].map(number),
    number(say('costs.memory')),
  ];
  return [
    { kind: 'heading', text: say('costs.budgets') },
    { kind: 'text', text: joined([say('costs.budgets.lead'), budgetVerdict(methods, names)]) },
    { kind: 'table', columns, rows },
  ];
}

function budgetVerdict(methods: Report['costs']['methods'], names: Names): Bilingual {
  const isBeyond = (share = 1) => Math.abs(share - 1) > tolerance;
  const beyond = Object.keys(methods).filter((name) => isBeyond(methods[name].share_of_mean.tokens));
  if (beyond.length === 0) return say('costs.within');
  return say('costs.beyond', { methods: joined(beyond.map(names.full), ', ') });
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

/** Bytes of the models that a run holds, of the runs that say so. */
function memoryBlocks({ stages }: Report['costs']): Block[] {
  const rows = stages.flatMap(({ name, memory: roles = [] }) =>
    roles.map(({ role, weights_bytes, optimizer_bytes, shared }): Cell[] => [
      { text: plain(name) },
      { text: roleName(role) },
      shared ? { text: say('costs.shared') } : cell(weights_bytes, memory),
      cell(optimizer_bytes || undefined, memory),
    ]),
  );
  if (rows.length === 0) return [];
  const columns = [
    { label: say('costs.stage'), isNumber: false },
    { label: say('costs.role'), isNumber: false },
    { label: say('costs.weights'), isNumber: true },
    { label: say('costs.optimizer'), isNumber: true },
  ];
  return [
    { kind: 'heading', text: say('costs.roles') },
    { kind: 'table', columns, rows },
  ];
}

function roleName(role: string): Bilingual {
  const word = `role.${role}`;
  return isWord(word) ? say(word) : plain(role);
}

function cell(value: number | undefined, form: (value: number) => string | Bilingual): Cell {
  if (value === undefined) return nothing;
  const text = form(value);
  return { text: typeof text === 'string' ? plain(text) : text };
}
