// Training and generation by the real program on WebGPU, wherever an adapter opens, against the same on the CPU.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  saveTinyModel,
  timelessLog,
  tinyConfig,
  writeDemonstrations,
} from '../../../align/run/testing/tiny-run.ts';
import { reasonToSkip } from '../../../engine/runtime/testing/webgpu-adapter.ts';
import { runHeed } from '../testing/run-heed.ts';

const reason = reasonToSkip();

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-webgpu-'));
  await saveTinyModel(join(folder, 'base'), tinyConfig('llama', { layers: 1 }));
  writeDemonstrations(folder, 20);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function heed(command: string, device: string, ...words: string[]) {
  const outcome = await runHeed([command, '--device', device, '--json', ...words], folder);
  expect([outcome.code, outcome.stderr]).toEqual([0, expect.stringContaining(`on ${device}`)]);
  return JSON.parse(outcome.stdout);
}

describe.skipIf(reason)(`webgpu${reason && ` (no adapter: ${reason})`}`, () => {
  const onBoth = async <T>(run: (device: string) => Promise<T>) => [await run('cpu'), await run('webgpu')];

  it("trains with the CPU's losses", async () => {
    const words = ['--model', 'base', '--data', 'rows.jsonl', '--batch-size', '4', '--max-steps', '3'];
    const [expected, found] = await onBoth(async (device) => {
      await heed('sft', device, ...words, '--learning-rate', '0.01', '--warmup-ratio', '0', '--out', device);
      const events = timelessLog(join(folder, device));
      expect(events[0]).toMatchObject({ type: 'started', device });
      return events.filter(({ type }) => type === 'step').map(({ loss }) => loss as number);
    });
    expect(found).toHaveLength(3);
    // The weights moved: the third loss is far from the first.
    expect(expected[2]).toBeLessThan(0.95 * expected[0]);
    found.forEach((loss, i) => {
      expect(Math.abs(loss / expected[i] - 1)).toBeLessThan(1e-5);
    });
  });

  it("generates the CPU's tokens from the model that it trained", async () => {
    const words = [
      '--model',
      'webgpu/model',
      '--prompt',
      'red dog?',
      '--max-tokens',
      '6',
      '--temperature',
      '0',
    ];
    const [expected, found] = await onBoth(async (device) => {
      const { completions } = await heed('generate', device, ...words);
      return completions[0].ids;
    });
    expect(found.length).toBeGreaterThan(0);
    expect(found).toEqual(expected);
  });
});
