// heed eval: a model answers held-out requests, and its answers are judged.

import { z } from 'zod';
import type { EvaluateEvent, EvaluateResult } from '../../../align/evaluation/evaluate.ts';
import { type EvaluateOptions, worldNames } from '../../../align/evaluation/evaluation-options.ts';
import { runJob } from '../../../engine/runtime/job.ts';
import { defineCommand } from '../command.ts';
import { showInterval } from '../interval-text.ts';
import { modelOptions } from '../model-options.ts';
import { patientProgress } from '../patient-progress.ts';
import { showFaults } from '../show-faults.ts';
import { resolveComputing, stageOptions, templateOption } from '../stage-options.ts';
import type { Terminal } from '../terminal.ts';

export const evaluate = defineCommand({
  name: 'eval',
  revision: 2,
  description: 'let a model answer held-out requests, and judge its answers',
  options: z.object({
    ...modelOptions,
    data: z
      .array(z.string())
      .min(1)
      .describe('JSONL of requests: instruction, prompt, messages or prompt_ids'),
    out: z.string().describe('folder for answers.jsonl and summary.json; new or empty, unless --resume'),
    world: z.enum(worldNames).optional().describe('judges the answers: kata runs their code against tests'),
    reward: z.string().optional().describe('reward model whose score is the proxy'),
    reference: z.string().optional().describe('model from which the divergence (kl) is measured'),
    template: templateOption,
    continuation: z
      .boolean()
      .default(false)
      .describe('put requests as plain texts, and count continuations that hold no answer'),
    temperature: z.number().min(0).default(1).describe('divides the logits; 0 takes the likeliest token'),
    maxTokens: z.int().min(1).default(192).describe('most tokens of an answer'),
    seed: stageOptions.seed,
    batchSize: z.int().min(1).default(64).describe('answers computed at once; less takes less memory'),
    batchTokens: z
      .int()
      .min(1)
      .default(4096)
      .describe('positions at once under --reward and --reference; less takes less memory'),
    resume: z.boolean().default(false).describe('when --out holds this evaluation, give its result again'),
    strict: stageOptions.strict,
  }),
  async run(options, terminal, signal) {
    const module = new URL('../../../align/evaluation/evaluate.js', import.meta.url).href;
    const payload: EvaluateOptions = resolveComputing(options);
    const faults = showFaults(terminal);
    const show = showProgress(terminal);
    const onEvent = (event: EvaluateEvent) => {
      if (event.type === 'fault') faults.add(event.fault);
      else show(event);
    };
    try {
      const job = { module, name: 'evaluate', payload };
      const result = await runJob<EvaluateEvent, EvaluateResult>(job, { onEvent, signal });
      faults.finish();
      if (result.isReused) terminal.note(`${result.out}: finished already; nothing to do`);
      showSummary(result, terminal);
      return result;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  },
});

const units = { answers: 'answers', kl: 'tokens', reward: 'tokens' } as const;

/** A line for each phase. */
function showProgress(terminal: Terminal) {
  type Progress = Extract<EvaluateEvent, { type: 'progress' }>;
  const lines = new Map<Progress['phase'], ReturnType<typeof patientProgress>>();
  return ({ phase, done, total }: Progress) => {
    const line = lines.get(phase) ?? patientProgress(terminal, { label: phase, unit: units[phase] });
    lines.set(phase, line);
    line(done, total);
  };
}

function showSummary({ metrics, coaching, n, tokens_generated }: EvaluateResult, terminal: Terminal): void {
  const rows = [
    ...Object.entries(metrics),
    ...Object.entries(coaching ?? {}).map(([name, interval]) => [`coaching ${name}`, interval] as const),
  ];
  terminal.table(
    ['figure', 'value [95%]', 'n'],
    rows.map(([name, interval]) => [name, showInterval(interval), interval.n]),
  );
  terminal.line(`${n} answers, ${tokens_generated} tokens`);
}
