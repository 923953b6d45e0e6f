// 2. The pipeline as a picture: every stage that makes something which another reads, with what it cost.

import { type Bilingual, count, duration, isWord, joined, plain, say } from '../bilingual.ts';
import { broadPipeline, narrowPipeline, type Stop } from '../charts/pipeline-picture.ts';
import type { Section } from '../document.ts';
import type { Names } from '../names.ts';
import type { Report } from '../report-json.ts';
import { policiesOf, type StageRole } from '../roles.ts';
import { marksOf } from './incidents.ts';

export function pipelineSection(report: Report, names: Names): Section | undefined {
  const stops = stopsOf(report, names);
  if (stops.length < 2) return undefined;
  const steps = stops.map(({ name, says, cost }) =>
    joined(
      [name, says, cost].filter(({ en }) => en !== ''),
      ' · ',
    ),
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

function stopsOf(report: Report, names: Names): Stop[] {
  const shown = report.stages.filter((stage) => isShown(stage, report));
  const stops: Stop[] = [];
  for (const { name, needs } of shown) {
    const before = stops.filter(({ id }) => needs.includes(id));
    stops.push({
      ...{ id: name, name: fitting(names, name), hue: names.hue(name), after: before.map(({ id }) => id) },
      rank: 1 + Math.max(-1, ...before.map(({ rank }) => rank)),
      ...saysOf(report, [name], purposeOf(report.stages.find((stage) => stage.name === name)!)),
      cost: costOf(report, [name]),
    });
  }
  return [...lastTogether(directly(stops)), ...comparison(report, stops)];
}

/** A box has room for so many letters. */
const LONGEST_NAME = 22;

function fitting(names: Names, name: string): Bilingual {
  const full = names.full(name);
  return full.en.length > LONGEST_NAME ? names.short(name) : full;
}

/** Models, labels and reward models; of labels and reward models those that something shown learns from. */
function isShown({ name, role, command }: StageRole, { stages, methods }: Report): boolean {
  if (role === 'base') return command !== undefined || methods[name] !== undefined;
  if (role === 'sft' || role === 'method') return true;
  if (role !== 'labels' && role !== 'reward') return false;
  const readers = stages.filter(({ needs, role }) => needs.includes(name) && role !== 'evaluation');
  return role === 'reward' || readers.length > 0;
}

/** Without the arrows that longer ways make superfluous: a policy stage reads the SFT model, and so did its reward model. */
function directly(stops: readonly Stop[]): Stop[] {
  const ancestors = (id: string): string[] =>
    stops.find((stop) => stop.id === id)!.after.flatMap((each) => [each, ...ancestors(each)]);
  return stops.map((stop) => ({
    ...stop,
    after: stop.after.filter((id) => !stop.after.some((other) => ancestors(other).includes(id))),
  }));
}

/** Policies that nothing else learns from stand in one column. */
function lastTogether(stops: readonly Stop[]): Stop[] {
  const last = Math.max(...stops.map(({ rank }) => rank));
  const isRead = (id: string) => stops.some(({ after }) => after.includes(id));
  return stops.map((stop) => (isRead(stop.id) || stop.after.length === 0 ? stop : { ...stop, rank: last }));
}

/** All evaluations as one stop. */
function comparison(report: Report, stops: readonly Stop[]): Stop[] {
  const evaluations = report.stages.flatMap(({ name, role }) => (role === 'evaluation' ? [name] : []));
  if (evaluations.length === 0 || stops.length === 0) return [];
  const policies = policiesOf(report.stages).map(({ name }) => name);
  const isEnd = ({ id }: Stop) => policies.includes(id) && !stops.some(({ after }) => after.includes(id));
  return [
    {
      ...{ id: ' comparison', rank: 1 + Math.max(...stops.map(({ rank }) => rank)), hue: 'quiet' },
      after: stops.filter(isEnd).map(({ id }) => id),
      name: say('pipeline.name.compare'),
      ...saysOf(report, evaluations, say('pipeline.compare')),
      cost: costOf(report, evaluations),
    },
  ];
}

/** What its command is for, where there is a word for it. */
function purposeOf({ role, command, has_no_kl_penalty }: StageRole): Bilingual {
  const own = role === 'base' ? 'base' : command;
  const keys = [...(has_no_kl_penalty ? [`pipeline.${own}.no_kl`] : []), `pipeline.${own}`];
  const known = keys.find(isWord);
  return known ? say(known) : plain(command ?? '');
}

/** What became of a stop that did not go as planned stands in place of what it is for. */
function saysOf(
  { incidents }: Report,
  stages: readonly string[],
  purpose: Bilingual,
): Pick<Stop, 'says' | 'isAmiss'> {
  const [mark] = stages.flatMap((name) => marksOf(incidents[name]));
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
