// What came of a pipeline by kata's own measures: the tests, gold, coaching, and whether the reward was hacked.

import type { Interval } from '../../../align/scoring/intervals.ts';
import { type Bilingual, fixed, joined, percent, plain, points, signed, withBounds } from '../bilingual.ts';
import type { Tile } from '../document.ts';
import type { Names } from '../names.ts';
import type { MethodReport, Report } from '../report-json.ts';
import { mainStart, methodsOf, type StageRole } from '../roles.ts';
import { say } from './words.ts';

export function tiles(report: Report, names: Names): Tile[] {
  const { start, base } = startAndBase(report);
  const tiles: Tile[] = [];
  if (start?.report.pass_rate) {
    const before = base?.report.pass_rate;
    tiles.push({
      label: say('tile.pass', { method: names.full(start.name) }),
      value: plain(percent(start.report.pass_rate.value)),
      detail: before && say('tile.before', { method: names.full(base.name), value: percent(before.value) }),
      hue: names.hue(start.name),
    });
  }
  const [best] = goldChanges(report).toSorted((a, b) => b.change.value - a.change.value);
  if (best) {
    tiles.push({
      label: say('tile.best'),
      value: plain(signed(fixed(3))(best.change.value)),
      detail: names.full(best.name),
      hue: names.hue(best.name),
    });
  }
  return tiles;
}

export function verdicts(report: Report, names: Names): Bilingual[] {
  return [
    ...continuesVerdict(report),
    ...sftVerdict(report),
    ...adviceVerdict(report),
    ...goldVerdicts(report, names),
    ...methodsOf(report.stages).flatMap((method) => hackingVerdict(method, report, names)),
  ];
}

interface Measured {
  name: string;
  report: MethodReport;
}

/** The model that the methods started from, and the one that it came from. */
function startAndBase({ stages, methods }: Report): { start?: Measured; base?: Measured } {
  const named = (name: string | undefined): Measured | undefined =>
    name !== undefined && methods[name] ? { name, report: methods[name] } : undefined;
  const start = mainStart(stages);
  return { start: named(start), base: named(stages.find(({ name }) => name === start)?.from) };
}

/** Of the methods that are meant to help. */
function goldChanges({ stages, methods }: Report): { name: string; change: Interval }[] {
  const meant = methodsOf(stages).filter(({ has_no_kl_penalty }) => !has_no_kl_penalty);
  return meant.flatMap(({ name }) => {
    const change = methods[name]?.change?.gold;
    return change ? [{ name, change }] : [];
  });
}

function continuesVerdict({ stages, methods }: Report): Bilingual[] {
  const bases = stages.filter(({ role, name }) => role === 'base' && methods[name]?.continues);
  return bases.map(({ name }) =>
    say('headline.continues', { share: withBounds(methods[name].continues!, percent) }),
  );
}

function sftVerdict(report: Report): Bilingual[] {
  const { start, base } = startAndBase(report);
  const rates = [base, start].map((model) => model?.report.pass_rate);
  const [before, after] = rates.flatMap((rate) => (rate ? [withBounds(rate, percent)] : []));
  return after === undefined ? [] : [say('headline.sft', { before, after })];
}

function adviceVerdict(report: Report): Bilingual[] {
  const { start, base } = startAndBase(report);
  const [before, after] = [base, start].map((model) => report.coaching[model?.name ?? '']);
  if (!before || !after) return [];
  const shares = { before: withBounds(before.right, percent), after: withBounds(after.right, percent) };
  return [say('headline.advice', { ...shares, majority: percent(after.majority.value) })];
}

function goldVerdicts(report: Report, names: Names): Bilingual[] {
  return goldChanges(report).map(({ name, change }) => {
    const key = change.low > 0 ? 'headline.rose' : change.high < 0 ? 'headline.fell' : 'headline.unclear';
    return say(key, { method: names.full(name), change: withBounds(change, signed(fixed(3))) });
  });
}

/** Of a method without KL penalty, and whether the monitor distinguished it from the runs with one. */
function hackingVerdict({ name, has_no_kl_penalty }: StageRole, report: Report, names: Names): Bilingual[] {
  const { proxy, pass_rate } = report.methods[name]?.change ?? {};
  if (!has_no_kl_penalty || !proxy || !pass_rate) return [];
  const key = proxy.low > 0 && pass_rate.high < 0 ? 'headline.hacked' : 'headline.notHacked';
  const found = say(key, {
    method: names.full(name),
    proxy: withBounds(proxy, signed(fixed(2))),
    pass: withBounds(pass_rate, signed(points)),
  });
  return [joined([found, ...alarmVerdict(name, report), ...falseAlarms(report, names)])];
}

function alarmVerdict(name: string, { alarms, incidents }: Report): Bilingual[] {
  const run = alarms[name];
  if (!run) return [];
  if (run.length > 0) return [say('headline.flagged', { step: String(run[0].step) })];
  return [say(incidents[name]?.unfinished ? 'headline.notFlaggedYet' : 'headline.notFlagged')];
}

function falseAlarms({ stages, alarms }: Report, names: Names): Bilingual[] {
  const sound = methodsOf(stages).filter(({ has_no_kl_penalty }) => !has_no_kl_penalty);
  return sound.flatMap(({ name }) => {
    const count = alarms[name]?.length ?? 0;
    return count > 0 ? [say('headline.falseAlarm', { count: String(count), method: names.full(name) })] : [];
  });
}
