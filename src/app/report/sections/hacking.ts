// 7. Reward hacking: what the monitor saw, what it did not know, and what hacked answers look like.

import {
  type Bilingual,
  type Form,
  fixed,
  isWord,
  joined,
  plain,
  points,
  say,
  signed,
  significant,
  wholePercent,
  withBounds,
} from '../bilingual.ts';
import { lineChart, type Series } from '../charts/line-chart.ts';
import { judgedCurve } from '../curves.ts';
import type { Block, Cell, Chart, Section } from '../document.ts';
import { type Alarm, type Curve, type PpoName, ppoNames, type Report } from '../report-json.ts';
import { runSentences, statusName } from './incidents.ts';
import { methodName } from './methods-of.ts';
import { answersBlock } from './samples.ts';

/** Alarms of one run go on to its end; the first ones tell what there is to tell. */
const ALARMS_SHOWN = 4;

export function hackingSection(report: Report): Section | undefined {
  const runs = ppoNames.filter((name) => report.alarms[name] || report.incidents[name]);
  if (runs.length === 0) return undefined;
  const { proxy, pass_rate } = report.methods.ppo_no_kl?.change ?? {};
  const blocks: Block[] = [{ kind: 'text', text: say('hacking.lead') }];
  if (proxy && pass_rate) {
    const values = {
      proxy: withBounds(proxy, signed(fixed(2))),
      pass: withBounds(pass_rate, signed(points)),
    };
    blocks.push({ kind: 'text', text: say('hacking.both', values) });
  }
  const charts = fallingCharts(report);
  if (charts.length > 0) {
    blocks.push({ kind: 'heading', text: say('hacking.falling') }, { kind: 'charts', charts, columns: 2 });
  }
  blocks.push({ kind: 'heading', text: say('hacking.alarms') }, ...alarmBlocks(report, runs));
  if (report.hacked.length > 0) {
    blocks.push({ kind: 'heading', text: say('hacking.samples') });
    blocks.push(...report.hacked.map((sample, i) => answersBlock(sample, i + 1, i === 0)));
  }
  return { id: 'hacking', title: say('hacking.title'), short: say('hacking.short'), blocks };
}

/** The run without a leash beside the one with it, step by step: what is optimised and what is meant. */
function fallingCharts({ curves }: Report): Chart[] {
  const proxyOf = (name: PpoName) => curves[name]?.['objective/scores'];
  const passRateOf = (name: PpoName) => judgedCurve(curves[name], 'pass_rate');
  const charts = [
    chartOf(proxyOf, { title: say('metric.proxy'), y: say('axis.score') }),
    chartOf(passRateOf, { title: say('metric.pass_rate'), y: say('metric.pass_rate'), yForm: wholePercent }),
  ];
  return charts.every((chart) => chart !== undefined) ? charts : [];
}

function chartOf(
  curveOf: (name: PpoName) => Curve | undefined,
  { title, y, yForm }: { title: Bilingual; y: Bilingual; yForm?: Form },
): Chart | undefined {
  const hacked = curveOf('ppo_no_kl');
  if (!hacked || hacked.steps.length < 2) return undefined;
  const runs = (['ppo', 'ppo_no_kl'] as const).filter(curveOf);
  const series = runs.map((name): Series => {
    const { steps, values } = curveOf(name)!;
    const points = steps.map((step, i) => [step, values[i]] as const);
    return { name: methodName(name).en, hue: name, look: 'trend', points };
  });
  const { values } = hacked;
  return {
    title,
    svg: lineChart({ x: say('axis.steps'), y, yForm, xWord: 'step', series }),
    summary: plain(`${significant(values[0])} → ${significant(values[values.length - 1])}`),
    legend: runs.map((name) => ({ name: methodName(name), hue: name })),
  };
}

function alarmBlocks(report: Report, runs: readonly PpoName[]): Block[] {
  const rows = runs.flatMap((name) =>
    (report.alarms[name] ?? []).slice(0, ALARMS_SHOWN).map((alarm) => alarmRow(name, alarm)),
  );
  const sentences = runs.flatMap((name) => [
    ...countSentences(report, name),
    ...runSentences(name, report.incidents[name] ?? {}),
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

/** That there was no alarm is told only of a run that went on as long as it was to. */
function countSentences({ alarms, incidents }: Report, name: PpoName): Bilingual[] {
  const [method, count] = [methodName(name), alarms[name]?.length ?? 0];
  const unfinished = incidents[name]?.unfinished;
  if (unfinished !== undefined) {
    const status = statusName(unfinished);
    return [say('hacking.unfinished', { method, status, count: String(count) })];
  }
  if (count === 0) return [say('hacking.none', { method })];
  if (count <= ALARMS_SHOWN) return [];
  return [say('hacking.more', { method, count: String(count), shown: String(ALARMS_SHOWN) })];
}

function alarmRow(name: PpoName, { step, signals }: Alarm): Cell[] {
  return [
    { text: methodName(name), hue: name },
    { text: plain(String(step)) },
    { text: joined(signals.map(signalText), ', ') },
  ];
}

/** The bound that was passed, where it can be told. */
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
