// 2. The pipeline as a picture, with what each stop cost.

import { type Bilingual, count, duration, joined, plain, say } from '../bilingual.ts';
import { broadPipeline, narrowPipeline, type Stop } from '../charts/pipeline-picture.ts';
import type { Hue, Section } from '../document.ts';
import { keyOf, type Report, stageOf } from '../report-json.ts';
import { marksOf } from './incidents.ts';
import { stageTitle } from './methods-of.ts';

const learners = ['reject', 'dpo', 'ppo', 'ppo_no_kl', 'ppo_frozen'] as const;

/** Rank, hue and what comes before, of every stop that a pipeline may have. */
const plan = [
  { id: 'base', rank: 0, hue: 'base', after: [] },
  { id: 'sft', rank: 1, hue: 'sft', after: ['base'] },
  { id: 'preferences', rank: 2, hue: 'quiet', after: ['sft'] },
  { id: 'reward', rank: 3, hue: 'quiet', after: ['preferences'] },
  { id: 'reject', rank: 4, hue: 'reject', after: ['reward'] },
  { id: 'dpo', rank: 4, hue: 'dpo', after: ['preferences'] },
  { id: 'ppo', rank: 4, hue: 'ppo', after: ['reward'] },
  { id: 'ppo_no_kl', rank: 4, hue: 'ppo_no_kl', after: ['reward'] },
  { id: 'ppo_frozen', rank: 4, hue: 'ppo_frozen', after: ['reward'] },
] as const satisfies readonly { id: string; rank: number; hue: Hue; after: readonly string[] }[];

export function pipelineSection(report: Report): Section | undefined {
  const stops = stopsOf(report);
  if (stops.length < 2) return undefined;
  const steps = stops.map(({ name, says, cost }) =>
    joined(cost.en === '' ? [name, says] : [name, says, cost], ' · '),
  );
  return {
    id: 'pipeline',
    title: say('pipeline.title'),
    short: say('pipeline.short'),
    blocks: [
      { kind: 'text', text: say('pipeline.lead') },
      {
        kind: 'picture',
        broad: broadPipeline(stops),
        narrow: narrowPipeline(stops),
        summary: joined(
          stops.map(({ name }) => name),
          ' → ',
        ),
        steps,
      },
    ],
  };
}

function stopsOf(report: Report): Stop[] {
  const ran = new Set(report.costs.stages.map(({ name }) => name));
  const stops: Stop[] = plan
    .filter(({ id }) => (id === 'base' ? report.methods.base : ran.has(stageOf(id))))
    .map(({ id, rank, hue, after }) => ({
      ...{ id, rank, hue, after: [...after] },
      name: stageTitle(id),
      ...saysOf(report, [stageOf(id)], say(`pipeline.${id}`)),
      cost: costOf(report, [stageOf(id)]),
    }));
  const evaluations = [...ran].filter((name) => name.startsWith('eval-'));
  const compared = stops.filter(({ id }) => learners.some((learner) => learner === id)).map(({ id }) => id);
  if (evaluations.length > 0) {
    stops.push({
      ...{ id: 'compare', rank: 5, hue: 'quiet', after: compared.length > 0 ? compared : ['sft'] },
      name: say('pipeline.name.compare'),
      ...saysOf(report, evaluations, say('pipeline.compare')),
      cost: costOf(report, evaluations),
    });
  }
  return stops;
}

/** What became of a stop that did not go as planned stands in place of what it is for. */
function saysOf(
  { incidents }: Report,
  stages: readonly string[],
  purpose: Bilingual,
): Pick<Stop, 'says' | 'isAmiss'> {
  const [mark] = stages.flatMap((name) => marksOf(incidents[keyOf(name)]));
  return { says: mark ?? purpose, isAmiss: mark !== undefined };
}

function costOf({ costs }: Report, names: readonly string[]): Bilingual {
  const stages = costs.stages.filter(({ name }) => names.includes(name));
  const sum = (key: 'seconds' | 'tokens_generated' | 'tokens_trained') =>
    stages.reduce((total, stage) => total + (stage[key] ?? 0), 0);
  const tokens = sum('tokens_generated') + sum('tokens_trained');
  const parts = [
    ...(sum('seconds') > 0 ? [duration(sum('seconds'))] : []),
    ...(tokens > 0 ? [say('unit.tokens', { count: count(tokens) })] : []),
  ];
  return parts.length > 0 ? joined(parts, ' · ') : plain('');
}
