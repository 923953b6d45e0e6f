// 1. What was done and what came of it, in figures and in sentences that say no more than the intervals allow.

import type { Interval } from '../../../align/scoring/intervals.ts';
import {
  type Bilingual,
  fixed,
  joined,
  percent,
  plain,
  points,
  say,
  signed,
  withBounds,
} from '../bilingual.ts';
import type { Block, Section } from '../document.ts';
import type { MethodName, Report } from '../report-json.ts';
import { endMark, incidentSentences } from './incidents.ts';
import { measured, methodName } from './methods-of.ts';

type Tile = Extract<Block, { kind: 'tiles' }>['tiles'][number];

export function headline(report: Report): Section {
  const n = measured(report)[0]?.method.pass_rate?.n;
  const blocks: Block[] = [];
  if (n !== undefined) blocks.push({ kind: 'text', text: say('headline.lead', { n: String(n) }) });
  const tiles = tilesOf(report);
  if (tiles.length > 0) blocks.push({ kind: 'tiles', tiles });
  const verdicts = [
    ...incidentSentences(report.incidents),
    ...continuesVerdict(report),
    ...sftVerdict(report),
    ...adviceVerdict(report),
    ...goldVerdicts(report),
    ...hackingVerdicts(report),
  ];
  if (verdicts.length > 0) blocks.push({ kind: 'list', items: verdicts });
  blocks.push({ kind: 'text', text: say('page.intervals'), isNote: true });
  return { id: 'headline', title: say('headline.title'), short: say('headline.short'), blocks };
}

function tilesOf(report: Report): Tile[] {
  const { base, sft } = report.methods;
  const tiles: Tile[] = [];
  if (sft?.pass_rate) {
    const before = base?.pass_rate;
    tiles.push({
      label: say('tile.pass'),
      value: plain(percent(sft.pass_rate.value)),
      detail: before && say('tile.before', { value: percent(before.value) }),
      hue: 'sft',
    });
  }
  const best = bestGain(report);
  if (best) {
    tiles.push({
      label: say('tile.best'),
      value: plain(signed(fixed(3))(best.change.value)),
      detail: methodName(best.name),
      hue: best.name,
    });
  }
  const accuracy = report.reward_model?.accuracy;
  if (accuracy) {
    tiles.push({
      label: say('tile.accuracy'),
      value: plain(percent(accuracy.value)),
      detail: say('tile.pairs', { n: String(accuracy.n) }),
    });
  }
  return [...tiles, ...monitorTile(report)];
}

/** A run without an alarm is quiet only when it went to its end. */
function monitorTile({ alarms, incidents }: Report): Tile[] {
  const [label, run, end] = [say('tile.hacking'), alarms.ppo_no_kl, endMark(incidents.ppo_no_kl)];
  if (!run) return end ? [{ label, value: end }] : [];
  const [first] = run;
  if (first) {
    const detail = say('tile.atStep', { step: String(first.step) });
    return [{ label, value: say('tile.flagged'), detail, hue: 'ppo_no_kl' }];
  }
  const detail = say(incidents.ppo_no_kl?.unfinished ? 'tile.noAlarmYet' : 'tile.noAlarm');
  return [{ label, value: end ?? say('tile.quiet'), detail }];
}

function bestGain(report: Report): { name: MethodName; change: Interval } | undefined {
  const gains = goldChanges(report);
  return gains.toSorted((a, b) => b.change.value - a.change.value)[0];
}

/** Of the methods that are meant to help. */
function goldChanges(report: Report): { name: MethodName; change: Interval }[] {
  const meant: readonly MethodName[] = ['reject', 'dpo', 'ppo'];
  return meant.flatMap((name) => {
    const change = report.methods[name]?.change?.gold;
    return change ? [{ name, change }] : [];
  });
}

function continuesVerdict({ methods: { base } }: Report): Bilingual[] {
  if (!base?.continues) return [];
  return [say('headline.continues', { share: withBounds(base.continues, percent) })];
}

function sftVerdict({ methods: { base, sft } }: Report): Bilingual[] {
  if (!base?.pass_rate || !sft?.pass_rate) return [];
  const [before, after] = [base.pass_rate, sft.pass_rate].map((rate) => withBounds(rate, percent));
  return [say('headline.sft', { before, after })];
}

function adviceVerdict({ coaching: { base, sft } }: Report): Bilingual[] {
  if (!base || !sft) return [];
  const [before, after] = [base.right, sft.right].map((right) => withBounds(right, percent));
  return [say('headline.advice', { before, after, majority: percent(sft.majority.value) })];
}

function goldVerdicts(report: Report): Bilingual[] {
  return goldChanges(report).map(({ name, change }) => {
    const key = change.low > 0 ? 'headline.rose' : change.high < 0 ? 'headline.fell' : 'headline.unclear';
    return say(key, { method: methodName(name), change: withBounds(change, signed(fixed(3))) });
  });
}

function hackingVerdicts(report: Report): Bilingual[] {
  const { proxy, pass_rate } = report.methods.ppo_no_kl?.change ?? {};
  if (!proxy || !pass_rate) return [];
  const key = proxy.low > 0 && pass_rate.high < 0 ? 'headline.hacked' : 'headline.notHacked';
  const found = say(key, {
    proxy: withBounds(proxy, signed(fixed(2))),
    pass: withBounds(pass_rate, signed(points)),
  });
  const onLeash = report.alarms.ppo ?? [];
  const falsely = onLeash.length > 0 ? [say('headline.falseAlarm', { count: String(onLeash.length) })] : [];
  return [joined([found, ...alarmVerdict(report), ...falsely])];
}

function alarmVerdict({ alarms, incidents }: Report): Bilingual[] {
  const run = alarms.ppo_no_kl;
  if (!run) return [];
  if (run.length > 0) return [say('headline.flagged', { step: String(run[0].step) })];
  return [say(incidents.ppo_no_kl?.unfinished ? 'headline.notFlaggedYet' : 'headline.notFlagged')];
}
