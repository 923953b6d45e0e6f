// 6. Reward against the distance travelled: the plane of KL and reward, and over-optimisation along training.

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
import type { Block, Chart, Hue, Section } from '../document.ts';
import type { Names } from '../names.ts';
import type { Overoptimisation, Report } from '../report-json.ts';
import type { World } from '../world.ts';

const LAW_POINTS = 60;

type Gold = NonNullable<Overoptimisation['gold']>;

export function optimisationSection(report: Report, names: Names, world: World): Section | undefined {
  const plane = planeOf(report, names, world);
  const along = alongTraining(report, names, world);
  const blocks: Block[] = [];
  if (!plane && along.length === 0) return undefined;
  if (plane) {
    const letters = lettersOf(report).size > 0 ? [say('plane.letters')] : [];
    blocks.push({ kind: 'text', text: joined([say('plane.lead'), ...letters]) });
    blocks.push({ kind: 'charts', charts: [plane], columns: 1 });
  }
  if (along.length > 0) {
    const lead = say(world.watched.gold ? 'over.lead' : 'over.lead.proxy');
    blocks.push({ kind: 'heading', text: say('over.title') }, { kind: 'text', text: lead });
    blocks.push({ kind: 'charts', charts: along, columns: 3 });
  }
  const fits = fitSentences(report, names);
  if (fits.length > 0) blocks.push({ kind: 'list', items: fits });
  return { id: 'distance', title: say('plane.title'), short: say('plane.short'), blocks };
}

/** Methods without KL penalty are A, the others of their command B, C, … */
function lettersOf({ stages, methods }: Report): ReadonlyMap<string, string> {
  const free = stages.filter(({ name, has_no_kl_penalty }) => has_no_kl_penalty && methods[name]);
  const others = stages.filter(
    ({ name, command, has_no_kl_penalty }) =>
      !has_no_kl_penalty && methods[name] && free.some((each) => each.command === command),
  );
  return new Map([...free, ...others].map(({ name }, i) => [name, String.fromCharCode(65 + i)]));
}

/** A base model stands so far off that the others would fall together. */
function planeOf(report: Report, names: Names, { plane: { figure, words } }: World): Chart | undefined {
  const { stages, methods } = report;
  const letters = lettersOf(report);
  const bases = stages.flatMap(({ name, role }) => (role === 'base' ? [name] : []));
  const points = Object.entries(methods).flatMap(([name, method]): PlanePoint[] => {
    const { kl, [figure]: y, pass_rate } = method;
    if (bases.includes(name) || !kl || !y) return [];
    const detail = pass_rate ? say('plane.passes', { rate: percent(pass_rate.value) }) : plain('');
    const letter = letters.get(name);
    return [{ name: names.short(name), detail, hue: names.hue(name), x: kl, y, letter }];
  });
  if (points.length < 2) return undefined;
  return {
    title: words.chart,
    svg: planeChart(points, { x: say('plane.x'), y: words.y }),
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

function alongTraining({ overoptimisation }: Report, names: Names, { watched }: World): Chart[] {
  const figures = [
    { figure: 'proxy', title: say('over.proxy'), label: say('metric.proxy') },
    ...(['gold', 'pass_rate'] as const).flatMap((figure) => {
      const own = watched[figure];
      return own ? [{ figure, ...own }] : [];
    }),
  ] as const;
  return figures.flatMap(({ figure, title, label }) => {
    const runs = Object.entries(overoptimisation).filter(([, run]) => (run[figure]?.length ?? 0) > 1);
    if (runs.length === 0) return [];
    const series = runs.flatMap(([name, run]): Series[] => [
      {
        name: names.full(name).en,
        hue: names.hue(name),
        look: 'dots',
        points: run[figure]!.map(({ distance, value }) => [distance, value] as const),
      },
      ...(figure === 'gold' ? lawOf(names.hue(name), run) : []),
    ]);
    return {
      title,
      svg: lineChart({
        ...{ x: say('over.x'), y: label, xWord: '√KL', series },
        yForm: figure === 'pass_rate' ? wholePercent : undefined,
      }),
      summary: joined(
        runs.map(([name, run]) => joined([names.full(name), plain(course(run[figure]!))])),
        '; ',
      ),
      legend: runs.map(([name]) => ({ name: names.full(name), hue: names.hue(name) })),
    };
  });
}

function lawOf(hue: Hue, { fit, gold = [] }: Overoptimisation): Series[] {
  if (!fit) return [];
  const furthest = Math.max(...gold.map(({ distance }) => distance));
  const points = Array.from({ length: LAW_POINTS + 1 }, (_, i): Point => {
    const distance = (furthest * i) / LAW_POINTS;
    return [distance, fit.start + predictedReward('rl', fit, distance)];
  });
  return [{ name: '', hue, look: 'dashed', points }];
}

function course(points: Gold): string {
  const [first, last] = [points[0], points[points.length - 1]];
  return `${significant(first.value)} → ${significant(last.value)} (√KL ${significant(last.distance)})`;
}

function fitSentences({ overoptimisation }: Report, names: Names): Bilingual[] {
  return Object.entries(overoptimisation).flatMap(([name, { fit, gold = [] }]) => {
    if (!fit) return [];
    const bounds = (value: number, [low, high]: readonly [number, number]) =>
      withBounds({ value, low, high, n: 0 }, significant);
    const parameters = say('over.fit', {
      method: names.full(name),
      start: bounds(fit.start, fit.interval_start),
      alpha: bounds(fit.alpha, fit.interval_alpha),
      beta: bounds(fit.beta, fit.interval_beta),
    });
    return [joined([parameters, bendSentence(fit, gold)])];
  });
}

/** A peak is stated only where chance alone does not bend gold down. */
function bendSentence(
  { peak, interval_beta: [low, high] }: NonNullable<Overoptimisation['fit']>,
  gold: Gold,
): Bilingual {
  if (low <= 0 && high >= 0) return say('over.unclear');
  if (!peak) return say('over.noPeak');
  const distance = significant(peak.distance);
  const isReached = gold.some((point) => point.distance >= peak.distance);
  return isReached
    ? say('over.peak', { distance, kl: significant(peak.kl_nats) })
    : say('over.peakBeyond', { distance });
}
