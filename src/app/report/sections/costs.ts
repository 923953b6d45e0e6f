// 10. What each stage cost: the only part of a report that may differ between two runs of one seed.

import { type Bilingual, count, duration, memory, plain, say } from '../bilingual.ts';
import type { Cell, Section } from '../document.ts';
import type { Report, StageCost } from '../report-json.ts';
import { nothing } from './methods-of.ts';

export function costsSection({ costs }: Report): Section | undefined {
  if (costs.stages.length === 0) return undefined;
  const columns = [
    { label: say('costs.stage'), isNumber: false },
    { label: say('costs.time'), isNumber: true },
    { label: say('costs.memory'), isNumber: true },
    { label: say('metric.generated'), isNumber: true },
    { label: say('metric.trained'), isNumber: true },
    { label: say('costs.rate'), isNumber: true },
  ];
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
      { kind: 'table', columns, rows: [...costs.stages.map(stageRow), totalRow(costs)] },
    ],
  };
}

function stageRow(stage: StageCost): Cell[] {
  return [
    { text: plain(stage.name) },
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
