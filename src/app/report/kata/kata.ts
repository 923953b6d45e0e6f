// What the report knows of the world kata: hidden tests, readability and gold, coaching, answers that are code.

import { correlationInterval } from '../../../align/scoring/intervals.ts';
import { type Form, fixed, percent, points, say as sayAny, signed } from '../bilingual.ts';
import { readJsonIfThere, stageBy } from '../read-pipeline.ts';
import type { Report, SampleAnswer } from '../report-json.ts';
import type { World } from '../world.ts';
import { coachingBlocks, hackingBlocks, overlapBlocks, passMetrics } from './blocks.ts';
import { codeMarkup } from './code-markup.ts';
import { tiles, verdicts } from './headline.ts';
import { chooseHacked, chooseSamples, readRightAdvice } from './samples.ts';
import { say } from './words.ts';

const wholePoints: Form = (x) => signed(fixed(0))(100 * x);

export const kata: World = {
  figures: [
    { name: 'pass_rate', label: say('metric.pass_rate'), form: percent },
    { name: 'gold', label: say('metric.gold'), form: fixed(3) },
    { name: 'readability', label: say('metric.readability'), form: fixed(3) },
  ],
  changes: [
    {
      ...{ name: 'pass_rate', title: say('change.pass_rate'), form: signed(points), neutral: 0 },
      axisForm: wholePoints,
    },
    {
      ...{ name: 'gold', title: say('change.gold'), form: signed(fixed(3)), neutral: 0 },
      axisForm: signed(fixed(2)),
    },
    {
      ...{ name: 'win_rate', title: say('change.win_rate'), form: percent, neutral: 0.5 },
      ...{ axisForm: (x) => `${fixed(0)(100 * x)}%`, column: say('metric.win_rate') },
    },
    {
      ...{ name: 'readability', title: say('change.readability'), form: signed(fixed(3)), neutral: 0 },
      axisForm: signed(fixed(2)),
    },
  ],
  plane: { figure: 'readability', words: { chart: say('plane.chart'), y: say('plane.y') } },
  watched: {
    gold: { label: say('metric.gold'), title: say('over.gold'), metrics: ['gold/gold', 'watch/gold'] },
    pass_rate: { label: say('metric.pass_rate'), title: say('over.pass_rate'), metrics: passMetrics },
  },
  words: {
    headline: (n) => say('headline.lead', { n }),
    methods: say('methods.lead'),
    samples: say('samples.lead'),
    reward: say('reward.lead'),
    hacking: say('hacking.lead'),
  },
  async measure(pipeline, report, evaluations) {
    const measured = evaluations.flatMap(({ key, coaching }) => (coaching ? [[key, coaching] as const] : []));
    const coaching: Report['coaching'] = Object.fromEntries(measured);
    return {
      coaching,
      overlap: await readJsonIfThere(stageBy(pipeline, 'kata'), 'overlap.json'),
      samples: chooseSamples(report, evaluations, await readRightAdvice(pipeline)),
      hacked: chooseHacked(report, evaluations),
    };
  },
  correlations(answers) {
    const known = answers.flatMap(({ proxy, readability }) =>
      proxy === undefined || readability === undefined ? [] : [[proxy, readability] as const],
    );
    return { criterion_correlation: correlationInterval(known) };
  },
  tiles,
  verdicts,
  show: ({ kind }, answer) => ({
    ...(kind !== 'coach' &&
      looksLikeCode(answer.text) && { markup: { html: codeMarkup(answer.text), language: 'js' } }),
    verdicts: verdictsOf(answer),
  }),
  sampleTitle: ({ kind }, number) =>
    kind === 'coach' ? say('samples.coaching') : sayAny('samples.request', { number: String(number) }),
  blocks: { samples: coachingBlocks, reward: overlapBlocks, hacking: hackingBlocks(() => kata) },
};

/** A base model goes on in prose. */
function looksLikeCode(text: string): boolean {
  return /[{}]|=>/.test(text);
}

function verdictsOf({ passed, right, readability }: SampleAnswer): ReturnType<World['show']>['verdicts'] {
  const readable =
    readability === undefined
      ? []
      : [{ text: say('verdict.readability', { value: fixed(2)(readability) }), tone: 'quiet' as const }];
  if (right !== undefined) {
    return [
      { text: say(right ? 'verdict.right' : 'verdict.wrong'), tone: right ? 'good' : 'bad' },
      ...readable,
    ];
  }
  if (passed === undefined) return readable;
  return [
    { text: say(passed ? 'verdict.passed' : 'verdict.failed'), tone: passed ? 'good' : 'bad' },
    ...readable,
  ];
}
