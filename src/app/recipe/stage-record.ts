// stage.json in a stage's folder says that the stage is finished, and what came out. It is written last and as a whole:
// a folder without it was begun and not finished.

import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError } from '../../engine/errors.ts';
import { diskFiles } from '../../language/checkpoint/files.ts';
import { fromStored, toStored } from '../../language/stored-names.ts';
import type { PlannedStage } from './plan-pipeline.ts';

export interface StageRecord {
  key: string;
  /** Of wall-clock time, over all attempts whose time is known. */
  seconds: number;
  /** Most resident memory of this program and of an engine process together; an upper bound. */
  peakMemoryBytes: number;
  /** What the command returned. */
  result: object;
}

export type StageState =
  | { kind: 'finished'; record: StageRecord }
  /** There is a folder, but no record of an end. */
  | { kind: 'begun' }
  | { kind: 'absent' };

const recordName = 'stage.json';

export async function stageState({ folder, key }: PlannedStage): Promise<StageState> {
  const record = await readStageRecord(folder);
  if (record?.key === key) return { kind: 'finished', record };
  return { kind: existsSync(folder) ? 'begun' : 'absent' };
}

/** @returns undefined where there is none that can be read */
async function readStageRecord(folder: string): Promise<StageRecord | undefined> {
  try {
    return fromStored(JSON.parse(await readFile(join(folder, recordName), 'utf8'))) as StageRecord;
  } catch {
    return undefined;
  }
}

export async function writeStageRecord(folder: string, record: StageRecord): Promise<void> {
  await writeJson(join(folder, recordName), record);
}

/** The old file or the whole new one, never between. @throws UserError when the disk refuses */
export async function writeJson(path: string, value: object): Promise<void> {
  await onDisk(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${process.pid}.new`;
    const text = `${JSON.stringify(toStored(value), null, 2)}\n`;
    await diskFiles.write(temporary, [new TextEncoder().encode(text)]);
    await diskFiles.rename(temporary, path);
    await diskFiles.sync(dirname(path));
  });
}

/** Explains what the system says of a disk that is full, read-only or another's. */
export async function onDisk<T>(path: string, act: () => Promise<T> | T): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (typeof (error as NodeJS.ErrnoException).code !== 'string') throw error;
    throw new UserError(
      {
        where: path,
        expected: 'to write it',
        found: (error as Error).message,
        advice: 'a folder on a local disk with free space that you may write to',
      },
      { cause: error },
    );
  }
}
