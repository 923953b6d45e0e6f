// The report over seeds: what every seed agrees on, how far the figures move, and which seeds failed.

import { type Bilingual, type Form, joined, percent, plain, say, withBounds } from './bilingual.ts';
import type { Block, Cell, ReportDocument } from './document.ts';
import { type Names, namesOf } from './names.ts';
import { nothing } from './sections/figures.ts';
import { incidentSentences } from './sections/incidents.ts';
import { commonChanges, commonFigures } from './sections/methods.ts';
import {
  type ChangedMetric,
  changedMetrics,
  type SeedChange,
  type SeedSummary,
  type Spread,
} from './seed-summary.ts';
import type { Figure, World } from './world.ts';
import { worldNamed } from './worlds.ts';

export function composeSeedDocument(summary: SeedSummary): ReportDocument {
  const [names, world] = [namesOf(summary.stages), worldNamed(summary.world)];
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
          ...incidents(summary, names),
          ...changedMetrics.flatMap((metric) => changeBlocks(summary, metric, names, world)),
        ],
      },
      {
        ...{ id: 'figures', title: say('seeds.figures'), short: say('seeds.figures.short') },
        blocks: [{ kind: 'text', text: say('seeds.figures.lead') }, spreadTable(summary, names, world)],
      },
    ],
    footer: say('seeds.footer'),
  };
}

/** Seeds that have no figures, and what went otherwise than planned in those that have. */
function incidents({ seeds }: SeedSummary, names: Names): Block[] {
  const items = seeds.flatMap(({ seed: number, status, failure = '', incidents: own = {} }) => {
    const seed = String(number);
    if (status === 'failed') return [say('seeds.failed', { seed, failure })];
    return incidentSentences(own, names).map((sentence) =>
      joined([say('seeds.seed', { seed }), sentence], ': '),
    );
  });
  return items.length > 0 ? [{ kind: 'list', items }] : [];
}

/** Those that the world measures, and the reward model's score. */
function changeBlocks(
  { seeds, changes }: SeedSummary,
  metric: ChangedMetric,
  names: Names,
  world: World,
): Block[] {
  const figure = [...world.changes, ...commonChanges].find(({ name }) => name === metric);
  if (!figure) return [];
  const { form, title } = figure;
  const done = seeds.filter(({ status }) => status === 'done');
  const rows = Object.keys(changes).flatMap((name) => {
    const change = changes[name][metric];
    return change ? [changeRow({ text: names.full(name), hue: names.hue(name) }, change, form, done)] : [];
  });
  if (rows.length === 0) return [];
  const columns = [
    { label: say('metric.method'), isNumber: false },
    { label: say('seeds.mean'), isNumber: true },
    ...done.map(({ seed }) => ({ label: say('seeds.seed', { seed: String(seed) }), isNumber: true })),
  ];
  return [
    { kind: 'heading', text: title },
    { kind: 'table', columns, rows },
  ];
}

function changeRow(name: Cell, change: SeedChange, form: Form, done: readonly { seed: number }[]): Cell[] {
  const bySeed = done.map(({ seed }): Cell => {
    const value = change.by_seed[seed];
    return value === undefined ? nothing : { text: plain(form(value)) };
  });
  return [name, { text: plain(withBounds(change, form)) }, ...bySeed];
}

const continues: Figure = { name: 'continues', label: say('metric.continues'), form: percent };

function spreadTable({ methods }: SeedSummary, names: Names, world: World): Block {
  const measured = Object.keys(methods);
  const shown = [...world.figures, ...commonFigures, continues].filter(({ name: metric }) =>
    measured.some((name) => methods[name][metric]),
  );
  return {
    kind: 'table',
    columns: [
      { label: say('metric.method'), isNumber: false },
      ...shown.map(({ label }) => ({ label, isNumber: true })),
    ],
    rows: measured.map((name) => [
      { text: names.full(name), hue: names.hue(name) },
      ...shown.map((figure): Cell => {
        const spread = methods[name][figure.name];
        return spread ? { text: spreadText(spread, figure.form) } : nothing;
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
