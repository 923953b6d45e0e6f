// What went otherwise than planned: a mark beside the stage, and sentences that say why.

import { type Bilingual, isWord, joined, plain, say } from '../bilingual.ts';
import type { Names } from '../names.ts';
import type { Incident, Report } from '../report-json.ts';

/** Of the whole pipeline, what is not finished first. */
export function incidentSentences(incidents: Report['incidents'], names: Names): Bilingual[] {
  const entries = Object.entries(incidents);
  return [
    ...unfinishedSentence(entries, names),
    ...entries.flatMap(([name, incident]) => runSentences(names.full(name), incident)),
  ];
}

/** Why a run was stopped, and what it skipped. */
export function runSentences(stage: Bilingual, { stopped, skipped }: Incident): Bilingual[] {
  return [
    ...(stopped ? [say('incident.stopped', { stage, reason: stopped.reason })] : []),
    ...(skipped
      ? [say('incident.skipped', { stage, count: String(skipped.updates), reason: skipped.reason })]
      : []),
  ];
}

function unfinishedSentence(entries: readonly [string, Incident][], names: Names): Bilingual[] {
  const stages = entries.flatMap(([name, { unfinished }]) =>
    unfinished === undefined ? [] : [withStatus(names.full(name), statusName(unfinished))],
  );
  return stages.length > 0 ? [say('incident.unfinished', { stages: joined(stages, '; ') })] : [];
}

function withStatus(name: Bilingual, status: Bilingual): Bilingual {
  return { en: `${name.en} (${status.en})`, ko: `${name.ko} (${status.ko})` };
}

export function statusName(status: string): Bilingual {
  const key = `status.${status}`;
  return isWord(key) ? say(key) : plain(status);
}

/** How a stage ended that did not end as planned. */
export function endMark({ unfinished, stopped }: Incident = {}): Bilingual | undefined {
  if (unfinished !== undefined) return statusName(unfinished);
  return stopped && say('status.stopped');
}

/** All that there is to say of a stage, the gravest first. */
export function marksOf(incident: Incident = {}): Bilingual[] {
  const end = endMark(incident);
  const { skipped } = incident;
  return [
    ...(end ? [end] : []),
    ...(skipped ? [say('status.skipped', { count: String(skipped.updates) })] : []),
  ];
}
