import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, it } from 'vitest';

// Vitest loads TypeScript by itself, so the built function is asked, in a Node of its own.
const rewards = JSON.stringify(pathToFileURL(resolve('dist/align/rollouts/rewards.js')).href);
const folder = mkdtempSync(join(tmpdir(), 'heed-typescript-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function scored(file: string): string {
  const spec = JSON.stringify({ module: join(folder, file), name: 'short' });
  const code = `import { loadRewards } from ${rewards};
    const { score } = await loadRewards([${spec}]).catch((error) => ({ score: () => [error.message] }));
    console.log(String(await score([{ completion: 'four' }, { completion: '' }])));`;
  return spawnSync(process.execPath, ['--input-type=module', '--eval', code], { encoding: 'utf8' }).stdout;
}

const canLoad = 'stripTypeScriptTypes' in nodeModule;

it('loads a reward in TypeScript with what it imports, or says what to do where Node cannot', () => {
  writeFileSync(join(folder, 'size.ts'), 'export const size = (text: string): number => text.length;');
  writeFileSync(
    join(folder, 'short.ts'),
    `import { size } from './size.ts';
     export function short(answers: readonly { completion: string }[]): number[] {
       return answers.map(({ completion }) => -size(completion));
     }`,
  );
  const refusal =
    /short\.ts: expected JavaScript, or a Node that loads TypeScript, got TypeScript and Node .*\. Try Node 22\.18 or newer, or the JavaScript that `npx tsc` makes of the file\.\n$/;
  expect(scored('short.ts')).toMatch(canLoad ? /^-4,0\n$/ : refusal);
});
