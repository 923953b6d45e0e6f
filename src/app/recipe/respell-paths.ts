// A stage that is resumed where its inputs lie elsewhere than when it began: the pipeline was moved, or heed is run from
// another folder.

import { existsSync, readFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { optionWord } from '../../align/run/recipe.ts';
import { commitFolder, verifyFolder } from '../../language/checkpoint/commit.ts';
import { diskFiles } from '../../language/checkpoint/files.ts';
import { type Plan, type PlannedStage, shown } from './plan-pipeline.ts';

const recipeName = 'recipe.yaml';

/**
 * A run refuses to resume under another recipe. The key vouches that this one is the same but for where its inputs
 * lie, so the recipe in the folder is given today's paths.
 */
export async function respellPaths(stage: PlannedStage, plan: Plan): Promise<void> {
  const path = join(stage.folder, recipeName);
  if (stage.pathWords.length === 0 || !existsSync(path)) return;
  const before = readFileSync(path, 'utf8');
  const text = recipeOfToday(before, stage, plan);
  if (text === before) return;
  const isCommitted = (await verifyFolder(stage.folder)) === 'complete';
  if (isCommitted) await commitAgain(stage.folder, text);
  else await replaceFile(path, text);
}

function recipeOfToday(written: string, stage: PlannedStage, plan: Plan): string {
  const words: Record<string, unknown> = parse(written);
  for (const [name, value] of Object.entries(stage.options)) {
    const word = optionWord(name);
    if (stage.pathWords.includes(word) && word in words) words[word] = respelt(words[word], value, plan);
  }
  return stringify(words);
}

/** A manifest covers the recipe: the folder is replaced as a whole, so that a kill leaves one that is true. */
async function commitAgain(folder: string, recipe: string): Promise<void> {
  await commitFolder(folder, async (staging) => {
    await cp(folder, staging, { recursive: true });
    await diskFiles.write(join(staging, recipeName), [new TextEncoder().encode(recipe)]);
  });
}

async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.new`;
  await diskFiles.write(temporary, [new TextEncoder().encode(text)]);
  await diskFiles.rename(temporary, path);
}

/** @param now the option as it is given; a command may have written it in a form of its own, with the path inside */
function respelt(written: unknown, now: unknown, plan: Plan): unknown {
  if (typeof written === 'string') return typeof now === 'string' ? now : underPlan(written, plan);
  if (Array.isArray(written)) {
    return written.map((item, i) => respelt(item, Array.isArray(now) ? now[i] : undefined, plan));
  }
  if (typeof written !== 'object' || written === null) return written;
  return Object.fromEntries(
    Object.entries(written).map(([key, item]) => [key, respelt(item, undefined, plan)]),
  );
}

/** A path into a stage's folder, which has a name that nothing else has, as it is spelt today. */
function underPlan(written: string, plan: Plan): string {
  const parts = written.split(/[\\/]/);
  for (const { folder } of plan.stages) {
    const at = parts.lastIndexOf(basename(folder));
    if (at >= 0) return [shown(folder), ...parts.slice(at + 1)].join('/');
  }
  return written;
}
