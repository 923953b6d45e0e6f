import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeReport } from './report.ts';
import { writeSyntheticPipeline } from './testing/synthetic-pipeline.ts';

let pipeline: string;
let html: string;
beforeAll(async () => {
  pipeline = mkdtempSync(join(tmpdir(), 'heed-exhibits-'));
  await writeSyntheticPipeline({ folder: pipeline, problems: 30, coaching: 6, steps: 24 });
  html = readFileSync((await writeReport(pipeline)).html, 'utf8');
});
afterAll(() => rmSync(pipeline, { recursive: true }));

describe('a demonstration', () => {
  it('has the answer’s tokens marked as trained, and the end with them', () => {
    const stream = /<p class="stream"[^>]*>([\s\S]*?)<\/p>/.exec(html)![1];
    const trained = Array.from(
      stream.matchAll(/class="token-trained"[^>]*>([\s\S]*?)<\/span>/g),
      ([, text]) => text,
    );
    const text = trained
      .join('')
      .replace(/<wbr>/g, '')
      .replaceAll('<s>·</s>', ' ')
      .replaceAll('<s>↵</s>', '');
    expect(text).toMatch(/^function[\s\S]*&lt;\|end\|&gt;$/);
    const context = stream.slice(0, stream.indexOf('token-trained')).replace(/<[^>]*>/g, '');
    expect(context).toContain('###·');
  });
});

describe('the answers of rejection sampling', () => {
  it('are those to the first prompt that left a clear choice, the best first and trained on', () => {
    const found =
      /Rejection sampling: the completions of one prompt[\s\S]*?reward 1\.75: trained on([\s\S]*?)reward −0\.25: skipped([\s\S]*?)<\/div>/.exec(
        html,
      )!;
    const [best, other] = found.slice(1);
    const textOf = (stream: string) => stream.replace(/<s>·<\/s>/g, ' ').replace(/<[^>]*>/g, '');
    expect(textOf(best)).toContain('// prompt 2, answer 1');
    expect(best).toContain('token-trained');
    expect(textOf(other)).toContain('// prompt 2, answer 0');
    expect(other).not.toContain('token-trained');
  });
});

describe('the answer of PPO', () => {
  it('is the last that it learnt from and that ends, with the KL of every token', () => {
    const found =
      /A rollout of step 2:[\s\S]*?has reward 0\.50 and a KL of (\d\.\d\d) nats[\s\S]*?<p class="stream"[^>]*>([\s\S]*?)<\/p>/.exec(
        html,
      )!;
    const [sum, stream] = found.slice(1);
    const charged = Array.from(stream.matchAll(/ · KL (\d\.\d{3})/g), ([, nats]) => Number(nats));
    expect(charged[0]).toBe(0.25);
    expect(charged.reduce((a, b) => a + b).toFixed(2)).toBe(sum);
    const actions = stream.slice(stream.indexOf('token-action'));
    expect(actions.replace(/<s>·<\/s>/g, ' ').replace(/<[^>]*>/g, '')).toContain('// step 2');
    expect(stream.match(/token-reward/g)).toHaveLength(1);
    expect(html).not.toContain('A rollout of step 3');
  });
});
