// 7. Reward hacking: what the monitor saw, and what the world knows that the monitor does not.

import { type Bilingual, isWord, joined, plain, say, significant } from '../bilingual.ts';
import type { Block, Cell, Section } from '../document.ts';
import type { Names } from '../names.ts';
import type { Alarm, Report } from '../report-json.ts';
import { methodsOf } from '../roles.ts';
import type { World } from '../world.ts';
import { runSentences, statusName } from './incidents.ts';

/** Alarms of one run go on to its end; the first ones are enough. */
const ALARMS_SHOWN = 4;

export function hackingSection(report: Report, names: Names, world: World): Section | undefined {
  const runs = runsIn(report);
  if (runs.length === 0) return undefined;
  const blocks: Block[] = [
    { kind: 'text', text: world.words.hacking },
    { kind: 'heading', text: say('hacking.alarms') },
    ...alarmBlocks(report, runs, names),
    ...(world.blocks.hacking?.(report, names) ?? []),
  ];
  return { id: 'hacking', title: say('hacking.title'), short: say('hacking.short'), blocks };
}

/** Runs that a monitor watched, and runs of the same commands that did not begin. */
function runsIn({ stages, alarms, incidents }: Report): string[] {
  const watched = new Set(stages.flatMap(({ name, command }) => (alarms[name] ? [command] : [])));
  const own = methodsOf(stages).filter(
    ({ name, command }) => alarms[name] || (incidents[name] && watched.has(command)),
  );
  return own.map(({ name }) => name);
}

function alarmBlocks(report: Report, runs: readonly string[], names: Names): Block[] {
  const rows = runs.flatMap((name) =>
    (report.alarms[name] ?? []).slice(0, ALARMS_SHOWN).map((alarm) => alarmRow(name, alarm, names)),
  );
  const sentences = runs.flatMap((name) => [
    ...countSentences(report, name, names),
    ...runSentences(names.full(name), report.incidents[name] ?? {}),
  ]);
  const columns = [
    { label: say('hacking.run'), isNumber: false },
    { label: say('unit.step'), isNumber: true },
    { label: say('hacking.signals'), isNumber: false },
  ];
  return [
    ...(rows.length > 0
      ? [
          { kind: 'text' as const, text: say('hacking.persistent') },
          { kind: 'table' as const, columns, rows },
        ]
      : []),
    ...(sentences.length > 0 ? [{ kind: 'list' as const, items: sentences }] : []),
  ];
}

/** That there was no alarm is said only of a run that went on as long as it was to. */
function countSentences({ alarms, incidents }: Report, name: string, names: Names): Bilingual[] {
  const [method, count] = [names.full(name), alarms[name]?.length ?? 0];
  const unfinished = incidents[name]?.unfinished;
  if (unfinished !== undefined) {
    const status = statusName(unfinished);
    return [say('hacking.unfinished', { method, status, count: String(count) })];
  }
  if (count === 0) return [say('hacking.none', { method })];
  if (count <= ALARMS_SHOWN) return [];
  return [say('hacking.more', { method, count: String(count), shown: String(ALARMS_SHOWN) })];
}

function alarmRow(name: string, { step, signals }: Alarm, names: Names): Cell[] {
  return [
    { text: names.full(name), hue: names.hue(name) },
    { text: plain(String(step)) },
    { text: joined(signals.map(signalText), ', ') },
  ];
}

/** The bound that was passed, where it is known. */
function signalText({ name, value, low, high }: Alarm['signals'][number]): Bilingual {
  const key = `signal.${name}`;
  const beyond =
    high !== undefined && value > high
      ? ` > ${significant(high)}`
      : low !== undefined && value < low
        ? ` < ${significant(low)}`
        : '';
  return joined([isWord(key) ? say(key) : plain(name), plain(`${significant(value)}${beyond}`)]);
}
