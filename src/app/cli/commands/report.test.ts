import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeSyntheticPipeline } from '../../report/testing/synthetic-pipeline.ts';
import { runHeed } from '../testing/run-heed.ts';

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'heed-report-command-'));
  await writeSyntheticPipeline({ folder, problems: 6, coaching: 2, steps: 8 });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('heed report', () => {
  it('writes the page, both texts and the figures, and says where', async () => {
    const { code, stdout } = await runHeed(['report', '--run', folder, '--json'], folder);
    expect(code).toBe(0);
    const { html, markdown, report_json: reportJson } = JSON.parse(stdout);
    expect(readFileSync(html, 'utf8')).toMatch(/^<!doctype html>/);
    expect(JSON.parse(readFileSync(reportJson, 'utf8'))).toMatchObject({ recipe: 'quickstart', seed: 1 });
    expect([existsSync(markdown), existsSync(join(folder, 'report.ko.md'))]).toEqual([true, true]);
  });

  it('ends with exit code 1 where there is no pipeline', async () => {
    const { code, stderr } = await runHeed(['report', '--run', join(folder, 'nowhere')], folder);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/nowhere\/pipeline\.json: expected the pipeline/),
    ]);
  });
});
