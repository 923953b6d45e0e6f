// Writes a pipeline's folders as `heed run` and the stages leave them.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Random } from '../../../engine/random.ts';

const random = new Random(7, 'testing');

/** A stage's folder, or a file in it, as a recipe refers to it. */
export function made(stage: string, file?: string): string {
  return [`\${${stage}}`, ...(file ? [file] : [])].join('/');
}

/** What the command returned, in snake_case as it is stored, and the options that it was given. */
type StageResult = { options?: object; [other: string]: unknown };

export class PipelineWriter {
  private readonly stages: object[] = [];
  private readonly options: { folder: string; without?: readonly string[] };

  /** @param options `without` names stages to leave out */
  constructor(options: { folder: string; without?: readonly string[] }) {
    this.options = options;
  }

  folderOf(name: string): string {
    return join(this.options.folder, `${name}-0a1b2c3d`);
  }

  /** @param options by word, as a recipe has them */
  stage(
    name: string,
    command: string,
    { options = {}, ...result }: StageResult,
    fill: (write: StageWriter) => void,
  ): void {
    if (this.options.without?.includes(name)) return;
    const folder = this.folderOf(name);
    mkdirSync(folder, { recursive: true });
    fill(new StageWriter(folder));
    const seconds = 8 + 60 * random.uniform(1, this.stages.length);
    this.stages.push({
      ...{ name, command, key: '0a1b2c3d4e5f', folder, options, status: 'done', seconds },
      ...{ peak_memory_bytes: 4e8 + 1e7 * this.stages.length, result },
    });
  }

  run(
    name: string,
    command: string,
    result: StageResult,
    events: readonly object[],
    fill: (write: StageWriter) => void = () => {},
  ): void {
    this.stage(name, command, result, (write) => {
      write.rows('events.jsonl', events);
      fill(write);
    });
  }

  finish(): void {
    const pipeline = { recipe: 'quickstart', seed: 1, stages: this.stages };
    writeFileSync(join(this.options.folder, 'pipeline.json'), JSON.stringify(pipeline));
  }
}

export class StageWriter {
  private readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  rows(name: string, rows: readonly object[]): void {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  }

  json(name: string, value: object): void {
    writeFileSync(join(this.folder, name), JSON.stringify(value));
  }
}
