// 1. What came out, in figures and in sentences that say no more than the intervals allow.

import { type Bilingual, fixed, percent, plain, say, signed, withBounds } from '../bilingual.ts';
import type { Block, Section, Tile } from '../document.ts';
import type { Names } from '../names.ts';
import type { Report } from '../report-json.ts';
import { methodsOf } from '../roles.ts';
import type { World } from '../world.ts';
import { endMark, incidentSentences } from './incidents.ts';

export function headline(report: Report, names: Names, world: World): Section {
  const blocks: Block[] = [];
  const n = requestsOf(report);
  if (n !== undefined) blocks.push({ kind: 'text', text: world.words.headline(String(n)) });
  const tiles = [
    ...world.tiles(report, names),
    ...accuracyTiles(report, names),
    ...monitorTiles(report, names),
  ];
  if (tiles.length > 0) blocks.push({ kind: 'tiles', tiles });
  const own = world.verdicts(report, names);
  const verdicts = [
    ...incidentSentences(report.incidents, names),
    ...(own.length > 0 ? own : proxyVerdicts(report, names)),
  ];
  if (verdicts.length > 0) blocks.push({ kind: 'list', items: verdicts });
  blocks.push({ kind: 'text', text: say('page.intervals'), isNote: true });
  return { id: 'headline', title: say('headline.title'), short: say('headline.short'), blocks };
}

/** That the first model was measured on. */
function requestsOf({ methods }: Report): number | undefined {
  const [first] = Object.values(methods);
  return (first?.pass_rate ?? first?.eos_rate ?? first?.length)?.n;
}

/** Of reward models that were measured on pairs. */
function accuracyTiles({ reward_models }: Report, names: Names): Tile[] {
  const measured = Object.entries(reward_models).flatMap(([name, { accuracy }]) => {
    return accuracy ? [{ name, accuracy }] : [];
  });
  return measured.slice(0, 1).map(({ name, accuracy }) => ({
    label: say('tile.accuracy', { name: names.full(name) }),
    value: plain(percent(accuracy.value)),
    detail: say('tile.pairs', { n: String(accuracy.n) }),
  }));
}

/** Of the runs without KL penalty. One without an alarm is quiet only when it went to its end. */
function monitorTiles({ stages, alarms, incidents }: Report, names: Names): Tile[] {
  const free = methodsOf(stages).filter(({ has_no_kl_penalty }) => has_no_kl_penalty);
  return free.flatMap(({ name }): Tile[] => {
    const [run, end] = [alarms[name], endMark(incidents[name])];
    const label = say('tile.hacking', { method: names.full(name) });
    if (!run) return end ? [{ label, value: end }] : [];
    const [first] = run;
    if (first) {
      const detail = say('tile.atStep', { step: String(first.step) });
      return [{ label, value: say('tile.flagged'), detail, hue: names.hue(name) }];
    }
    const detail = say(incidents[name]?.unfinished ? 'tile.noAlarmYet' : 'tile.noAlarm');
    return [{ label, value: end ?? say('tile.quiet'), detail }];
  });
}

/** Where no world judges the answers, the reward model's score is what there is. */
function proxyVerdicts({ stages, methods }: Report, names: Names): Bilingual[] {
  return methodsOf(stages).flatMap(({ name }) => {
    const { change: { proxy } = {}, against = '' } = methods[name] ?? {};
    if (!proxy) return [];
    const key = proxy.low > 0 ? 'headline.rose' : proxy.high < 0 ? 'headline.fell' : 'headline.unclear';
    const change = withBounds(proxy, signed(fixed(2)));
    return [say(key, { method: names.full(name), start: names.full(against), change })];
  });
}
