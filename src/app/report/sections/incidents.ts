// What went otherwise than planned: a mark beside the stage, and sentences that say why.

import { type Bilingual, isWord, joined, plain, say } from '../bilingual.ts';
import type { Incident, Report } from '../report-json.ts';
import { stageTitle } from './methods-of.ts';

/** Of the whole pipeline, what is not finished first. */
export function incidentSentences(incidents: Report['incidents']): Bilingual[] {
  const told = Object.entries(incidents);
  return [...unfinishedSentence(told), ...told.flatMap(([key, incident]) => runSentences(key, incident))];
}

/** Why a run was stopped, and what it left out. */
export function runSentences(key: string, { stopped, skipped }: Incident): Bilingual[] {
  const stage = stageTitle(key);
  return [
    ...(stopped ? [say('incident.stopped', { stage, reason: stopped.reason })] : []),
    ...(skipped
      ? [say('incident.skipped', { stage, count: String(skipped.updates), reason: skipped.reason })]
      : []),
  ];
}

function unfinishedSentence(told: readonly [string, Incident][]): Bilingual[] {
  const stages = told.flatMap(([key, { unfinished }]) =>
    unfinished === undefined ? [] : [withStatus(stageTitle(key), statusName(unfinished))],
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

/** All that there is to tell of a stage, the gravest first. */
export function marksOf(incident: Incident = {}): Bilingual[] {
  const end = endMark(incident);
  const { skipped } = incident;
  return [
    ...(end ? [end] : []),
    ...(skipped ? [say('status.skipped', { count: String(skipped.updates) })] : []),
  ];
}
