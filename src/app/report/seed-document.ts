// The report over seeds: what every seed agrees on, how far the figures move, and which seeds failed.

import {
  type Bilingual,
  type Form,
  fixed,
  joined,
  percent,
  plain,
  points,
  say,
  signed,
  withBounds,
} from './bilingual.ts';
import type { Block, Cell, ReportDocument } from './document.ts';
import { type MethodName, methodNames } from './report-json.ts';
import { incidentSentences } from './sections/incidents.ts';
import { methodName, nothing } from './sections/methods-of.ts';
import {
  type ChangedMetric,
  changedMetrics,
  type SeedChange,
  type SeedMetric,
  type SeedSummary,
  type Spread,
  seedMetrics,
} from './seed-summary.ts';

export function composeSeedDocument(summary: SeedSummary): ReportDocument {
  const numbers = summary.seeds.map(({ seed }) => String(seed));
  return {
    title: say('seeds.pageTitle', { recipe: summary.recipe, n: String(numbers.length) }),
    facts: [
      { name: say('page.recipe'), value: summary.recipe },
      { name: say('seeds.seeds'), value: numbers.join(', ') },
    ],
    sections: [
      {
        ...{ id: 'changes', title: say('seeds.changes'), short: say('seeds.changes.short') },
        blocks: [
          { kind: 'text', text: say('seeds.changes.lead') },
          ...incidents(summary),
          ...changedMetrics.flatMap((metric) => changeBlocks(summary, metric)),
        ],
      },
      {
        ...{ id: 'figures', title: say('seeds.figures'), short: say('seeds.figures.short') },
        blocks: [{ kind: 'text', text: say('seeds.figures.lead') }, spreadTable(summary)],
      },
    ],
    footer: say('seeds.footer'),
  };
}

/** Seeds that have no figures, and what went otherwise than planned in those that have. */
function incidents({ seeds }: SeedSummary): Block[] {
  const items = seeds.flatMap(({ seed: number, status, failure = '', incidents: told = {} }) => {
    const seed = String(number);
    if (status === 'failed') return [say('seeds.failed', { seed, failure })];
    return incidentSentences(told).map((sentence) => joined([say('seeds.seed', { seed }), sentence], ': '));
  });
  return items.length > 0 ? [{ kind: 'list', items }] : [];
}

const changeForms: Readonly<Record<ChangedMetric, Form>> = {
  pass_rate: signed(points),
  gold: signed(fixed(3)),
};

function changeBlocks({ seeds, changes }: SeedSummary, metric: ChangedMetric): Block[] {
  const done = seeds.filter(({ status }) => status === 'done');
  const form = changeForms[metric];
  const rows = methodNames.flatMap((name) => {
    const change = changes[name]?.[metric];
    return change ? [changeRow(name, change, form, done)] : [];
  });
  if (rows.length === 0) return [];
  const columns = [
    { label: say('metric.method'), isNumber: false },
    { label: say('seeds.mean'), isNumber: true },
    ...done.map(({ seed }) => ({ label: say('seeds.seed', { seed: String(seed) }), isNumber: true })),
  ];
  return [
    { kind: 'heading', text: say(`methods.change.${metric}`) },
    { kind: 'table', columns, rows },
  ];
}

function changeRow(
  name: MethodName,
  change: SeedChange,
  form: Form,
  done: readonly { seed: number }[],
): Cell[] {
  const bySeed = done.map(({ seed }): Cell => {
    const value = change.by_seed[seed];
    return value === undefined ? nothing : { text: plain(form(value)) };
  });
  return [{ text: methodName(name), hue: name }, { text: plain(withBounds(change, form)) }, ...bySeed];
}

const spreadForms: Readonly<Record<SeedMetric, Form>> = {
  pass_rate: percent,
  gold: fixed(3),
  readability: fixed(3),
  proxy: fixed(2),
  kl: fixed(2),
  length: fixed(1),
  eos_rate: percent,
  continues: percent,
};

function spreadTable({ methods }: SeedSummary): Block {
  const measured = methodNames.filter((name) => methods[name]);
  const shown = seedMetrics.filter((metric) => measured.some((name) => methods[name]?.[metric]));
  return {
    kind: 'table',
    columns: [
      { label: say('metric.method'), isNumber: false },
      ...shown.map((metric) => ({ label: say(`metric.${metric}`), isNumber: true })),
    ],
    rows: measured.map((name) => [
      { text: methodName(name), hue: name },
      ...shown.map((metric): Cell => {
        const spread = methods[name]?.[metric];
        return spread ? { text: spreadText(spread, spreadForms[metric]) } : nothing;
      }),
    ]),
  };
}

/** `71.0% ± 1.2 [69.5 … 72.3]` */
function spreadText({ mean, sd, min, max }: Spread, form: Form): Bilingual {
  const bare = (value: number) => form(value).replace(/%$/, '');
  const deviation = sd === undefined ? '' : ` ± ${bare(sd)}`;
  return plain(`${form(mean)}${deviation} [${bare(min)} … ${bare(max)}]`);
}
