// 6. Reward against the distance travelled: the plane with A, B and C, and over-optimisation along training.

import { predictedReward } from '../../../align/objectives/overoptimisation.ts';
import {
  type Bilingual,
  fixed,
  joined,
  percent,
  plain,
  say,
  significant,
  wholePercent,
  withBounds,
} from '../bilingual.ts';
import { lineChart, type Point, type Series } from '../charts/line-chart.ts';
import { type PlanePoint, planeChart } from '../charts/plane-chart.ts';
import type { Block, Chart, Section } from '../document.ts';
import {
  type MethodName,
  type Overoptimisation,
  type PpoName,
  ppoNames,
  type Report,
} from '../report-json.ts';
import { measured, methodName, shortName } from './methods-of.ts';

const letters: Partial<Record<MethodName, string>> = { ppo_no_kl: 'A', ppo_frozen: 'B', ppo: 'C' };
const LAW_POINTS = 60;

export function optimisationSection(report: Report): Section | undefined {
  const plane = planeOf(report);
  const along = alongTraining(report);
  const blocks: Block[] = [];
  if (!plane && along.length === 0) return undefined;
  if (plane) {
    blocks.push({ kind: 'text', text: say('plane.lead') }, { kind: 'charts', charts: [plane], columns: 1 });
  }
  if (along.length > 0) {
    blocks.push({ kind: 'heading', text: say('over.title') }, { kind: 'text', text: say('over.lead') });
    blocks.push({ kind: 'charts', charts: along, columns: 3 });
  }
  const fits = fitSentences(report);
  if (fits.length > 0) blocks.push({ kind: 'list', items: fits });
  return { id: 'distance', title: say('plane.title'), short: say('plane.short'), blocks };
}

function planeOf(report: Report): Chart | undefined {
  const points = measured(report).flatMap(({ name, method }): PlanePoint[] => {
    const { kl, readability, pass_rate } = method;
    if (name === 'base' || !kl || !readability) return [];
    const detail = pass_rate ? say('plane.passes', { rate: percent(pass_rate.value) }) : plain('');
    return [{ name: shortName(name), detail, hue: name, x: kl, y: readability, letter: letters[name] }];
  });
  if (points.length < 2) return undefined;
  return {
    title: say('plane.chart'),
    svg: planeChart(points, { x: say('plane.x'), y: say('plane.y') }),
    summary: joined(
      points.map(({ name, x, y, letter }) =>
        joined([
          ...(letter ? [plain(letter)] : []),
          name,
          plain(`KL ${withBounds(x, fixed(2))}, ${withBounds(y, fixed(3))}`),
        ]),
      ),
      '; ',
    ),
  };
}

function alongTraining({ overoptimisation }: Report): Chart[] {
  return (['proxy', 'gold', 'pass_rate'] as const).flatMap((figure) => {
    const runs = runsWith(overoptimisation, figure);
    if (runs.length === 0) return [];
    const series = runs.flatMap(({ name, run }): Series[] => [
      {
        name: methodName(name).en,
        hue: name,
        look: 'dots',
        points: run[figure].map(({ distance, value }) => [distance, value] as const),
      },
      ...(figure === 'gold' ? lawOf(name, run) : []),
    ]);
    return {
      title: say(`over.${figure}`),
      svg: lineChart({
        x: say('over.x'),
        y: say(`metric.${figure}`),
        xWord: '√KL',
        series,
        yForm: figure === 'pass_rate' ? wholePercent : undefined,
      }),
      summary: joined(
        runs.map(({ name, run }) => joined([methodName(name), plain(course(run[figure]))])),
        '; ',
      ),
      legend: runs.map(({ name }) => ({ name: methodName(name), hue: name })),
    };
  });
}

function runsWith(
  runs: Report['overoptimisation'],
  figure: 'proxy' | 'gold' | 'pass_rate',
): { name: PpoName; run: Overoptimisation }[] {
  return ppoNames.flatMap((name) => {
    const run = runs[name];
    return run && run[figure].length > 1 ? [{ name, run }] : [];
  });
}

function lawOf(name: PpoName, { fit, gold }: Overoptimisation): Series[] {
  if (!fit) return [];
  const furthest = Math.max(...gold.map(({ distance }) => distance));
  const points = Array.from({ length: LAW_POINTS + 1 }, (_, i): Point => {
    const distance = (furthest * i) / LAW_POINTS;
    return [distance, fit.start + predictedReward('rl', fit, distance)];
  });
  return [{ name: '', hue: name, look: 'dashed', points }];
}

function course(points: Overoptimisation['gold']): string {
  const [first, last] = [points[0], points[points.length - 1]];
  return `${significant(first.value)} → ${significant(last.value)} (√KL ${significant(last.distance)})`;
}

function fitSentences({ overoptimisation }: Report): Bilingual[] {
  return ppoNames.flatMap((name) => {
    const { fit, gold = [] } = overoptimisation[name] ?? {};
    if (!fit) return [];
    const bounds = (value: number, [low, high]: readonly [number, number]) =>
      withBounds({ value, low, high, n: 0 }, significant);
    const parameters = say('over.fit', {
      method: methodName(name),
      start: bounds(fit.start, fit.interval_start),
      alpha: bounds(fit.alpha, fit.interval_alpha),
      beta: bounds(fit.beta, fit.interval_beta),
    });
    return [joined([parameters, bendSentence(fit, gold)])];
  });
}

/** A peak is told only where chance alone does not bend gold down. */
function bendSentence(
  { peak, interval_beta: [low, high] }: NonNullable<Overoptimisation['fit']>,
  gold: Overoptimisation['gold'],
): Bilingual {
  if (low <= 0 && high >= 0) return say('over.unclear');
  if (!peak) return say('over.noPeak');
  const distance = significant(peak.distance);
  const isReached = gold.some((point) => point.distance >= peak.distance);
  return isReached
    ? say('over.peak', { distance, kl: significant(peak.klNats) })
    : say('over.peakBeyond', { distance });
}
