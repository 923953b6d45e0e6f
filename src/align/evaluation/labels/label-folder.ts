// The folder of a study of labels: recipe.yaml (what was asked), inputs.json (hashes of what it was asked of),
// answers.jsonl and labels.jsonl, which grow; and, once all is labelled, what follows from them: preferences.jsonl,
// rankings.jsonl and, last, report.json.

import { existsSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../../engine/errors.ts';
import { diskFiles } from '../../../language/checkpoint/files.ts';
import { hashModel, locateModel } from '../../../language/checkpoint/model-folder.ts';
import { toStored } from '../../../language/stored-names.ts';
import { fingerprintFile } from '../../data/fingerprint.ts';
import { cutLogAfter } from '../../run/append-log.ts';
import { RunFolder } from '../../run/run-folder.ts';
import { openStrictLog } from './answer-log.ts';
import type { Judgement } from './comparisons.ts';
import type { LabelOptions } from './label-options.ts';
import type { LabelReport } from './label-report.ts';
import type { Preference, Ranking } from './preferences.ts';

/** SHA-256 of the model and of every file, by option and place. */
type Inputs = Record<string, string>;

const inputsFile = 'inputs.json';
const reportFile = 'report.json';
/** Simulated judgements can be made again, so that they need not be forced to the disk one by one. */
const JUDGEMENTS_A_FLUSH = 256;
const NEWLINE = 10;

export class LabelFolder {
  private readonly path: string;
  private readonly run: RunFolder;

  private constructor(path: string, run: RunFolder) {
    this.path = path;
    this.run = run;
  }

  /**
   * Opens the folder of a new study, or with --resume the one that is there, for this process alone.
   * @throws UserError when it holds anything else, or when model or data have changed since it began
   */
  static async open(options: LabelOptions): Promise<LabelFolder> {
    const inputs = await hashInputs(options);
    const run = RunFolder.open({
      path: options.out,
      recipe: { command: 'label', options: { ...options } },
      resume: options.resume,
      onWarning: () => {},
    });
    try {
      rmdirSync(run.checkpoints);
      const folder = new LabelFolder(options.out, run);
      await folder.agreeOnInputs(inputs);
      return folder;
    } catch (error) {
      run.close();
      throw error;
    }
  }

  get answers(): string {
    return join(this.path, 'answers.jsonl');
  }

  /** Of a finished study. */
  report(): LabelReport | undefined {
    const path = join(this.path, reportFile);
    return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
  }

  /** Appends those that labels.jsonl lacks. @throws UserError when the disk refuses */
  appendJudgements(judgements: readonly Judgement[]): void {
    const path = join(this.path, 'labels.jsonl');
    cutLogAfter(path, Number.POSITIVE_INFINITY);
    const log = openStrictLog(path);
    try {
      for (let i = countLines(path); i < judgements.length; i++) {
        log.append(judgements[i]);
        if ((i + 1) % JUDGEMENTS_A_FLUSH === 0) log.sync();
      }
      log.sync();
    } finally {
      log.close();
    }
  }

  /** Writes what follows from the judgements; each file appears whole, the report last. */
  async finish(
    preferences: readonly Preference[],
    rankings: readonly Ranking[],
    report: LabelReport,
  ): Promise<void> {
    await this.write('preferences.jsonl', jsonLines(preferences));
    if (rankings.length > 0) await this.write('rankings.jsonl', jsonLines(rankings));
    await this.write(reportFile, `${JSON.stringify(toStored(report), null, 2)}\n`);
  }

  close(): void {
    this.run.close();
  }

  private async agreeOnInputs(inputs: Inputs): Promise<void> {
    const path = join(this.path, inputsFile);
    if (!existsSync(path)) {
      await this.write(inputsFile, `${JSON.stringify(inputs, null, 2)}\n`);
      return;
    }
    const before: Inputs = JSON.parse(readFileSync(path, 'utf8'));
    const changed = Object.keys(inputs).filter((name) => inputs[name] !== before[name]);
    if (changed.length === 0) return;
    throw new UserError({
      where: path,
      expected: 'the model and the data that the labels were begun with',
      found: `another content of ${changed.join(', ')}`,
      advice: 'restoring it, or another --out',
    });
  }

  private async write(name: string, text: string): Promise<void> {
    const path = join(this.path, name);
    await diskFiles.write(`${path}.new`, [Buffer.from(text)]);
    await diskFiles.rename(`${path}.new`, path);
    await diskFiles.sync(this.path);
  }
}

async function hashInputs({ model, data }: LabelOptions): Promise<Inputs> {
  const inputs: Inputs = { model: await hashModel(await locateModel(model)) };
  for (const [i, file] of data.entries()) inputs[`data ${i + 1}`] = (await fingerprintFile(file)).sha256;
  return inputs;
}

function countLines(path: string): number {
  return readFileSync(path).reduce((count, byte) => count + (byte === NEWLINE ? 1 : 0), 0);
}

function jsonLines(rows: readonly object[]): string {
  return rows.map((row) => `${JSON.stringify(toStored(row))}\n`).join('');
}
