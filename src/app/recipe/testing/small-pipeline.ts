// Recipes in a temporary folder, and commands that only write files, for tests of the runner.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { text, texts } from '../../stages/options.ts';
import { defineStage, jobOf, type Stage } from '../../stages/stage.ts';
import { type Plan, type PlannedStage, planPipeline } from '../plan-pipeline.ts';
import { readRecipe } from '../read-recipe.ts';
import { type PipelineEvent, type PipelineResult, runPipeline } from '../run-pipeline.ts';

const out = text('output', 'folder');
/** Its job is never run: the pipeline performs it. */
const stage = (name: string, schema: z.ZodObject): Stage =>
  defineStage({
    name,
    description: name,
    schema,
    job: jobOf(new URL('file:///none.js'), 'none'),
    summary: () => [],
  });

/** `say` writes text.txt; `join` writes its files' texts one after the other, and can be resumed. */
export const smallStages: readonly Stage[] = [
  stage('say', z.object({ out, text: text('words', 'to write'), seed: z.int().min(0).default(0) })),
  stage(
    'join',
    z.object({
      out,
      data: texts('input', 'files'),
      times: z.int().min(1).default(1),
      ending: z.enum(['none', 'newline']).default('none'),
      threads: z.int().optional(),
      resume: z.boolean().default(false),
    }),
  ),
];

export class SmallPipeline {
  readonly folder = mkdtempSync(join(tmpdir(), 'heed-pipeline-'));
  /** What was computed, in order: the stage's name, with `+` when it was resumed. */
  readonly computed: string[] = [];
  readonly events: PipelineEvent[] = [];
  stages = smallStages;
  version = '1';
  /** Called with the stage's name when it has written its files. */
  afterFiles: (name: string) => void | Promise<void> = () => {};
  /** The threads that each stage was given, by name. */
  readonly threads: Record<string, unknown> = {};

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  put(name: string, text: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  async plan(
    text: string,
    options: { out?: string; seed?: number; threads?: number; file?: string } = {},
  ): Promise<Plan> {
    const { file = 'pipeline.yaml', out = 'out', seed, threads } = options;
    this.put(file, text);
    const recipe = readRecipe(this.path(file));
    const { stages, version } = this;
    const place = { out: this.path(out), seed: seed ?? recipe.seeds[0] };
    return planPipeline(recipe, { ...place, stages, version, threads });
  }

  async run(
    text: string,
    options: { signal?: AbortSignal; selected?: string[]; jobs?: number; seed?: number; out?: string } = {},
  ): Promise<PipelineResult> {
    const { signal = new AbortController().signal, selected, jobs, ...place } = options;
    return runPipeline(await this.plan(text, place), {
      perform: (stage, given) => this.perform(stage, given),
      onEvent: (event) => this.events.push(event),
      signal,
      selected,
      jobs,
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  private async perform({ name, command }: PlannedStage, options: Record<string, unknown>): Promise<object> {
    const { out, text, data, times, resume, seed, threads } = options as Record<string, never>;
    this.threads[name] = threads;
    if (existsSync(out) && !resume) throw new Error(`${out} is there already`);
    this.computed.push(resume ? `${name}+` : name);
    mkdirSync(out, { recursive: true });
    const content =
      command.name === 'say'
        ? `${text} ${seed}`
        : (data as string[])
            .map((file) => readFileSync(file, 'utf8'))
            .join('|')
            .repeat(times);
    writeFileSync(join(out, 'text.txt'), content);
    await this.afterFiles(name);
    return { content };
  }
}

/** Two texts, the second made from the first. */
export const twoStages = `
seed: 3
stages:
  hello: { command: say, text: hello }
  twice: { command: join, data: ['\${hello}/text.txt'], times: 2 }
`;
