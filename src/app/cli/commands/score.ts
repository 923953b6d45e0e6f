// heed score: log-probabilities, perplexity and preference accuracy of a model on given data; of a reward model, rewards.

import { z } from 'zod';
import type { ScoreEvent, ScoreOptions, ScoreResult } from '../../../align/evaluation/score.ts';
import { runJob } from '../../../engine/runtime/job.ts';
import { defineCommand } from '../command.ts';
import { modelOptions } from '../model-options.ts';
import { patientProgress } from '../patient-progress.ts';
import { showFaults } from '../show-faults.ts';
import { resolveComputing } from '../stage-options.ts';
import type { Terminal } from '../terminal.ts';

export const score = defineCommand({
  name: 'score',
  description:
    'log-probabilities, perplexity, preference accuracy of a model on data, or a reward model’s rewards',
  options: z.object({
    ...modelOptions,
    data: z
      .array(z.string())
      .min(1)
      .describe('JSONL: prompt and completion, chosen and rejected, text, or any instruction format'),
    batchTokens: z.int().min(1).default(4096).describe('positions computed at once; less takes less memory'),
    strict: z.boolean().default(false).describe('stop at the first faulty record instead of leaving it out'),
  }),
  async run(options, terminal, signal) {
    const module = new URL('../../../align/evaluation/score.js', import.meta.url).href;
    const payload: ScoreOptions = resolveComputing(options);
    const faults = showFaults(terminal);
    const onProgress = patientProgress(terminal, { label: 'score', unit: 'tokens' });
    const onEvent = (event: ScoreEvent) => {
      if (event.type === 'fault') faults.add(event.fault);
      else onProgress(event.tokens, event.total);
    };
    try {
      const job = { module, name: 'scoreFiles', payload };
      const result = await runJob<ScoreEvent, ScoreResult>(job, { onEvent, signal });
      faults.finish();
      showSummary(result, terminal);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
});

function showSummary({ rows, ...summary }: ScoreResult, terminal: Terminal): void {
  const measures: [string, number | undefined][] = [
    ['perplexity', summary.perplexity],
    ['bits per byte', summary.bits_per_byte],
    ['reward', summary.reward],
    ['accuracy', summary.accuracy],
  ];
  const counts: [string, number | undefined][] = [
    ['tokens', summary.tokens],
    ['rows', rows.length],
    ['faults', summary.faults],
  ];
  const known = (entry: [string, number | undefined]): entry is [string, number] => entry[1] !== undefined;
  terminal.table(
    ['measure', 'value'],
    [...measures.filter(known).map(([name, value]) => [name, value.toPrecision(5)]), ...counts.filter(known)],
  );
}
