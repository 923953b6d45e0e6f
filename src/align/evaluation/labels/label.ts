// heed label's job: a model answers prompts several times over, and simulated annotators say which answer is the
// better. Sampling goes on where a kill interrupted it; judging costs little and is done when all answers are there.

import type { JobContext } from '../../../engine/runtime/job.ts';
import { openModel } from '../../../language/checkpoint/open-model.ts';
import type { RowFault } from '../../data/read.ts';
import type { SampledAnswer } from './answer-log.ts';
import { comparablePairs, type Judgement, judge, type Study } from './comparisons.ts';
import { LabelFolder } from './label-folder.ts';
import { type LabelEvent, type LabelOptions, studyOf } from './label-options.ts';
import { type LabelReport, reportLabels } from './label-report.ts';
import {
  type AskedPrompt,
  byPair,
  type Decision,
  decide,
  type Preference,
  preferenceOf,
  type Ranking,
  rankingOf,
} from './preferences.ts';
import { readAskedPrompts, sampleAnswers } from './sample-answers.ts';

export interface LabelResult {
  out: string;
  tokensGenerated: number;
  /** Whether all was labelled already. */
  isReused: boolean;
  report: LabelReport;
}

/**
 * @throws UserError when the model, all rows or the folder cannot be used; FormatError at the first faulty row when
 *   strict; the signal's reason when aborted
 */
export async function labelPrompts(
  options: LabelOptions,
  context: JobContext<LabelEvent>,
): Promise<LabelResult> {
  const { emit } = context;
  const asked = await openModel(options.model, { expectKind: ['base', 'policy'] });
  let faults = 0;
  const prompts = await readAskedPrompts(options, asked, (fault: RowFault) => {
    faults++;
    emit({ type: 'fault', fault });
  });
  const folder = await LabelFolder.open(options);
  try {
    const finished = folder.report();
    if (finished) return resultOf(options, finished, true);
    const answers = await sampleAnswers(asked, prompts, options, folder.answers, context);
    const study = studyOf(options);
    const judgements = [...judge(answers, study)];
    folder.appendJudgements(judgements);
    const { preferences, rankings, report } = concluded(judgements, { prompts, answers, study, faults });
    await folder.finish(preferences, rankings, report);
    return resultOf(options, report, false);
  } finally {
    folder.close();
  }
}

interface Judged {
  prompts: readonly AskedPrompt[];
  /** By prompt. */
  answers: readonly SampledAnswer[][];
  study: Study;
  faults: number;
}

/** Rankings are of more than two answers of which every pair was judged. */
function concluded(
  judgements: readonly Judgement[],
  { prompts, answers, study, faults }: Judged,
): { preferences: Preference[]; rankings: Ranking[]; report: LabelReport } {
  const decisions = byPair(judgements).flatMap((same) => decide(same) ?? []);
  const isRanked = study.pairs === undefined && answers[0].length > 2;
  const decisionsOn = prompts.map((): Decision[] => []);
  for (const decision of decisions) decisionsOn[decision.index].push(decision);
  const rankings = (isRanked ? prompts : []).flatMap(
    (prompt, i) => rankingOf(decisionsOn[i], prompt, answers[i]) ?? [],
  );
  const allPairs = (answers[0].length * (answers[0].length - 1)) / 2;
  const repeatedPairs = answers.reduce((sum, own) => sum + allPairs - comparablePairs(own).length, 0);
  return {
    preferences: decisions.map((decision) =>
      preferenceOf(decision, prompts[decision.index], answers[decision.index]),
    ),
    rankings,
    report: reportLabels(study, {
      prompts: answers,
      judgements,
      decisions,
      repeatedPairs,
      rankings: rankings.length,
      faults,
    }),
  };
}

function resultOf({ out }: LabelOptions, report: LabelReport, isReused: boolean): LabelResult {
  return { out, tokensGenerated: report.tokens_generated, isReused, report };
}
