import { createHash } from 'node:crypto';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kata } from './kata/kata.ts';
import { namesOf } from './names.ts';
import { writeReport } from './report.ts';
import type { Report } from './report-json.ts';
import { optimisationSection } from './sections/optimisation.ts';
import { type SyntheticOptions, writeSyntheticPipeline } from './testing/synthetic-pipeline.ts';

const hostileText = '</script><script>alert(1)</script><img src=x onerror=alert(2)> ``` {}';
const folders: string[] = [];

async function makePipeline(options: Partial<SyntheticOptions> = {}): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'heed-report-'));
  folders.push(folder);
  await writeSyntheticPipeline({ folder, problems: 30, coaching: 6, steps: 24, ...options });
  return folder;
}

const readJson = (...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8'));
const readRows = (...path: string[]) =>
  readFileSync(join(...path), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

let pipeline: string;
let report: Report;
let html: string;
beforeAll(async () => {
  pipeline = await makePipeline({ hostileText });
  const written = await writeReport(pipeline);
  report = readJson(written.reportJson);
  html = readFileSync(written.html, 'utf8');
});
afterAll(() => folders.forEach((folder) => void rmSync(folder, { recursive: true })));

const answersOf = (name: string) => readRows(pipeline, `eval-${name}-0a1b2c3d`, 'answers.jsonl').slice(0, 30);

describe('report.json', () => {
  it('holds the share of passing answers of every method, by their keys', () => {
    expect(Object.keys(report.methods)).toEqual([
      ...['base', 'sft', 'reject', 'dpo', 'ppo', 'ppo-no-kl', 'ppo-frozen'],
    ]);
    for (const [key, method] of Object.entries(report.methods)) {
      const passing = answersOf(key).filter(({ passed }) => passed === 1).length;
      expect([method.pass_rate?.value, method.pass_rate?.n]).toEqual([passing / 30, 30]);
    }
  });

  it('holds the paired change of gold with its interval, unrounded', () => {
    const [before, after] = [answersOf('sft'), answersOf('dpo')];
    let [sum, squares] = [0, 0];
    for (let i = 0; i < 30; i++) {
      const difference = after[i].gold - before[i].gold;
      sum += difference;
      squares += difference * difference;
    }
    // Student's t for 29 degrees of freedom, from a printed table.
    const half = 2.0452296 * Math.sqrt((squares - (sum * sum) / 30) / 29 / 30);
    const { value, low, high } = report.methods.dpo!.change!.gold!;
    expect(value).toBeCloseTo(sum / 30, 12);
    expect(low).toBeCloseTo(sum / 30 - half, 6);
    expect(high).toBeCloseTo(sum / 30 + half, 6);
    expect(report.methods.sft).not.toHaveProperty('change');
  });

  it('counts the tokens of each method’s own stage', () => {
    expect(report.methods.reject!.budget).toEqual({ tokens_generated: 1_210_000, tokens_trained: 301_000 });
    expect(report.methods.sft!.budget).toEqual({ tokens_generated: 0, tokens_trained: 612_400 });
    expect(report.methods.base!.budget).toEqual({ tokens_generated: 0, tokens_trained: 0 });
  });

  it('holds every value of every curve', () => {
    const steps = readRows(pipeline, 'ppo-no-kl-0a1b2c3d', 'events.jsonl').filter(
      ({ type }) => type === 'step',
    );
    expect(report.curves['ppo-no-kl']['objective/kl'].values).toEqual(
      steps.map(({ metrics }) => metrics['objective/kl']),
    );
    expect(report.curves['ppo-no-kl']['watch/gold'].steps).toEqual([1, 6, 11, 16, 21]);
    expect(Object.keys(report.curves['ppo-no-kl'])).not.toContain('tokens_per_second');
  });

  it('holds alarms by run, empty where there was none', () => {
    expect(report.alarms['ppo-no-kl'].map(({ step }) => step)).toEqual([8, 13]);
    expect([report.alarms.ppo, report.alarms['ppo-frozen']]).toEqual([[], []]);
  });

  it('holds reward model, labels, coaching and overlap as their stages measured them', () => {
    expect(report.reward_models.reward.accuracy).toEqual({ value: 0.842, low: 0.811, high: 0.868, n: 640 });
    expect(report.labels.preferences).toMatchObject({ counts: { pairs: 5400 } });
    expect(report.overlap).toMatchObject({ retrieval_passed: 4, equal_after_renaming: 0 });
    const summary = readJson(pipeline, 'eval-sft-0a1b2c3d', 'summary.json');
    expect(report.coaching.sft).toEqual(summary.coaching);
  });

  it('says how the score goes with length and criterion, with intervals', () => {
    const english = readFileSync(join(pipeline, 'report.md'), 'utf8');
    expect(english).toContain('| correlation of score and length | 0.210 \\[0.157, 0.262\\] |');
    const { value, low, high } = report.reward_models.reward.criterion_correlation!;
    expect([low < value, value < high]).toEqual([true, true]);
  });

  it('says how often the base goes on from a question without an answer', () => {
    expect(report.methods.base!.continues).toEqual({ value: 0.87, low: 0.82, high: 0.9, n: 300 });
    const english = readFileSync(join(pipeline, 'report.md'), 'utf8');
    expect(english).toMatch(/continues: 87\.0% .* of its texts that go on from a question hold no answer/);
  });

  it('shows the same requests with an answer of every model', () => {
    for (const { prompt, answers } of report.samples) {
      expect(Object.keys(answers)).toHaveLength(7);
      expect(prompt.length).toBeGreaterThan(10);
    }
    expect(report.samples.at(-1)).toMatchObject({
      kind: 'coach',
      answer: expect.stringMatching(/^start with: /m),
    });
    expect(report.hacked[0].answers['ppo-no-kl'].text).toBe(hostileText);
  });

  it('differs between two runs of a seed in its costs alone', async () => {
    const other = await makePipeline({ hostileText });
    const file = join(other, 'pipeline.json');
    const changed = readJson(file);
    for (const stage of changed.stages) stage.seconds *= 1.7;
    writeFileSync(file, JSON.stringify(changed));
    const { costs: _, ...same } = readJson((await writeReport(other)).reportJson);
    const { costs, ...first } = report;
    expect(same).toEqual(first);
    expect(costs.seconds).toBeCloseTo(
      changed.stages.reduce((sum: number, s: { seconds: number }) => sum + s.seconds, 0) / 1.7,
      6,
    );
  });

  it('is the same from a pipeline that was moved', async () => {
    const moved = mkdtempSync(join(tmpdir(), 'heed-report-moved-'));
    folders.push(moved);
    cpSync(pipeline, moved, { recursive: true });
    expect(readJson((await writeReport(moved)).reportJson)).toEqual(report);
  });
});

describe('report.html', () => {
  it('loads nothing and links only into itself', () => {
    const loads = html.match(/https?:|url\(|@import|<(link|img|iframe|object|embed)|<[^>]*\ssrc=/gi);
    expect(loads).toBeNull();
    const targets = Array.from(html.matchAll(/href="([^"]*)"/g), ([, target]) => target);
    expect(targets).toHaveLength(10);
    const ids = Array.from(html.matchAll(/<section id="([^"]*)"/g), ([, id]) => `#${id}`);
    expect(targets).toEqual(ids);
  });

  it('allows its own script and style and no other', () => {
    const inner = (element: string) => new RegExp(`<${element}>([\\s\\S]*?)</${element}>`).exec(html)![1];
    const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    const policy = /Content-Security-Policy" content="([^"]*)"/.exec(html)![1];
    expect(policy).toBe(
      `default-src 'none'; style-src ${hash(inner('style'))}; script-src ${hash(inner('script'))}`,
    );
  });

  it('shows what a model wrote as text', () => {
    expect(html.match(/<script/g)).toHaveLength(1);
    expect(html.match(/<img/g)).toBeNull();
    const shown = html.replace(/<[^>]*>/g, '').match(/&lt;\/script&gt;&lt;script&gt;alert\(1\)/g);
    expect(shown?.length).toBeGreaterThan(0);
  });

  it('holds every section in both languages', () => {
    const titles = Array.from(html.matchAll(/<h2>.*?<\/h2>/g), ([title]) => title);
    expect(titles).toHaveLength(10);
    for (const title of titles) {
      expect(title).toMatch(
        /<span lang="en">[^<]+<\/span><span lang="ko">[^<]*\p{Script=Hangul}[^<]*<\/span>/u,
      );
    }
  });
});

describe('report.md', () => {
  it('says the same in English and in Korean', () => {
    const [english, korean] = ['report.md', 'report.ko.md'].map((name) =>
      readFileSync(join(pipeline, name), 'utf8'),
    );
    const headings = (text: string) => text.match(/^##+ (?!Instruction:|Input:|Response:).*$/gm)!;
    expect(headings(korean)).toHaveLength(headings(english).length);
    for (const heading of headings(korean)) expect(heading).toMatch(/\p{Script=Hangul}/u);
    const rate = `${(100 * report.methods.sft!.pass_rate!.value).toFixed(1)}%`;
    for (const text of [english, korean]) expect(text).toContain(`**${rate}**`);
  });

  it('fences an answer that holds a fence', () => {
    expect(readFileSync(join(pipeline, 'report.md'), 'utf8')).toContain(
      `\n\`\`\`\`js\n${hostileText}\n\`\`\`\`\n`,
    );
  });
});

describe('a pipeline that lacks stages', () => {
  it('has no section on what it did not do', async () => {
    const folder = await makePipeline({
      without: [
        ...['preferences', 'reward', 'reject', 'dpo', 'ppo', 'ppo-no-kl', 'ppo-frozen'],
        ...['eval-reject', 'eval-dpo', 'eval-ppo', 'eval-ppo-no-kl', 'eval-ppo-frozen'],
      ],
    });
    const written = await writeReport(folder);
    const ids = Array.from(
      readFileSync(written.html, 'utf8').matchAll(/<section id="([^"]*)"/g),
      ([, id]) => id,
    );
    expect(ids).toEqual([
      'headline',
      'pipeline',
      'rows',
      'curves',
      'methods',
      'samples',
      'reward-model',
      'costs',
    ]);
    const { methods, alarms, hacked, reward_models } = readJson(written.reportJson);
    expect([Object.keys(methods), alarms, hacked, reward_models]).toEqual([['base', 'sft'], {}, [], {}]);
  });

  it('still has a report when nothing was evaluated', async () => {
    const { without } = {
      without: readdirSync(pipeline).flatMap((name) => /^(eval-.*)-0a/.exec(name)?.[1] ?? []),
    };
    const written = await writeReport(await makePipeline({ without }));
    expect(readJson(written.reportJson)).toMatchObject({ recipe: 'quickstart', methods: {}, samples: [] });
  });
});

describe('the sentences on over-optimisation', () => {
  const told = (alpha: number, beta: number, intervalOfBeta: readonly [number, number]) => {
    const gold = [0, 4].map((distance) => ({ distance, value: 0.5 }));
    const peak = { distance: Math.E, kl_nats: Math.E ** 2, reward: 0.1 };
    const bounds = { interval_start: [0, 1], interval_alpha: [0, 1], interval_beta: intervalOfBeta } as const;
    const fit = { alpha, beta, start: 0.5, ...bounds, peak };
    const run = { proxy: [], pass_rate: [], gold, fit };
    const names = namesOf(report.stages);
    return JSON.stringify(optimisationSection({ ...report, overoptimisation: { ppo: run } }, names, kata));
  };

  it('tell of a peak only where β is above 0 with its interval', () => {
    expect(told(0.3, 0.15, [0.1, 0.2])).toContain('The fitted gold peaks at √KL = 2.72');
    const unclear = told(0.3, 0.15, [-0.1, 0.4]);
    expect(unclear).not.toContain('peaks');
    expect(unclear).toContain('this run does not show whether gold bends down');
  });
});

describe('a pipeline that did not go as planned', () => {
  let report: Report;
  let english: string;
  let korean: string;
  beforeAll(async () => {
    const folder = await makePipeline();
    changeStages(folder, {
      'ppo-no-kl': { status: 'interrupted', seconds: 3 },
      'ppo-frozen': { status: 'pending' },
    });
    const events = (name: string) => join(folder, `${name}-0a1b2c3d`, 'events.jsonl');
    appendFileSync(events('dpo'), jsonLines(skippedUpdate(7), skippedUpdate(8)));
    const reason = 'the KL of 7.00 nats per completion is beyond the budget of 5, at step 20';
    appendFileSync(events('ppo'), jsonLines({ type: 'stopped', step: 21, reason, metrics: {} }));
    const quiet = readRows(events('ppo-no-kl')).filter(({ type }) => type !== 'alarm');
    writeFileSync(events('ppo-no-kl'), jsonLines(...quiet));
    rmSync(join(folder, 'ppo-frozen-0a1b2c3d'), { recursive: true });
    const { reportJson } = await writeReport(folder);
    report = readJson(reportJson);
    [english, korean] = ['report.md', 'report.ko.md'].map((name) => readFileSync(join(folder, name), 'utf8'));
  });
  const changeStages = (folder: string, changes: Record<string, object>) => {
    const pipeline = readJson(folder, 'pipeline.json');
    for (const stage of pipeline.stages) Object.assign(stage, changes[stage.name]);
    writeFileSync(join(folder, 'pipeline.json'), JSON.stringify(pipeline));
  };
  const jsonLines = (...rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  const skippedUpdate = (step: number) => ({
    ...{ type: 'skipped', step, what: 'update', count: 1, reason: `loss NaN at step ${step}` },
  });

  it('holds what happened by stage, and nothing of the stages that went well', () => {
    expect(report.incidents).toEqual({
      dpo: { skipped: { updates: 2, reason: 'loss NaN at step 7' } },
      ppo: { stopped: { step: 21, reason: expect.stringMatching(/beyond the budget of 5/) } },
      'ppo-no-kl': { unfinished: 'interrupted' },
      'ppo-frozen': { unfinished: 'pending' },
    });
    expect(report.alarms).toEqual({ ppo: [], 'ppo-no-kl': [] });
  });

  it('says so in both languages before anything else', () => {
    const first = (text: string) => text.slice(0, text.indexOf('\n## 2'));
    expect(first(english)).toContain(
      'Not finished: PPO without KL penalty (interrupted); PPO (ppo-frozen) (pending).',
    );
    expect(first(english)).toContain('Updates skipped by DPO: 2. Reason of the first: loss NaN at step 7.');
    expect(first(english)).toMatch(/PPO was stopped: the KL of 7\.00 nats .* at step 20\./);
    expect(first(korean)).toContain(
      '끝나지 않은 단계: KL 페널티 없는 PPO (중단됨); PPO (ppo-frozen) (대기).',
    );
    expect(first(korean)).toContain('DPO: 건너뛴 갱신 2회.');
    expect(first(korean)).toMatch(/PPO: 실행이 멈추었습니다\. 이유: the KL of 7\.00/);
  });

  it('never calls a run quiet that has not ended', () => {
    expect(english).toContain('- monitor: PPO without KL penalty: **interrupted** (no alarm so far)');
    expect(english).toContain('The monitor has raised no alarm so far.');
    expect(english).toContain('- PPO without KL penalty is not finished (interrupted); alarms so far: 0.');
    expect(english).toContain('- PPO: no alarm.\n- PPO was stopped: ');
    expect(english).not.toMatch(/PPO without KL penalty: no alarm|not flagged|raised no alarm\./);
    expect(korean).not.toMatch(/KL 페널티 없는 PPO: 경보 없음|감지 안 됨/);
  });

  it('marks its stages on the pipeline and among the costs', () => {
    expect(english).toMatch(/^\d+\. PPO · stopped/m);
    expect(english).toMatch(/^\d+\. PPO without KL penalty · interrupted/m);
    expect(english).toMatch(/^\d+\. PPO \(ppo-frozen\) · pending/m);
    expect(english).toMatch(/^\| dpo · updates skipped: 2 \|/m);
    expect(english).toMatch(/^\| ppo-no-kl · interrupted \|/m);
    expect(english).toMatch(/^\| sft \|/m);
  });
});

describe('a folder that cannot be reported on', () => {
  it('is named when it is no pipeline', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'heed-report-'));
    folders.push(folder);
    await expect(writeReport(folder)).rejects.toThrow(
      /pipeline\.json: expected the pipeline that heed run writes/,
    );
    writeFileSync(join(folder, 'pipeline.json'), '{"recipe":"a"}');
    await expect(writeReport(folder)).rejects.toThrow(/pipeline\.json: seed: expected a pipeline/);
  });

  it('is named with the line that cannot be read', async () => {
    const folder = await makePipeline();
    const file = join(folder, 'eval-sft-0a1b2c3d', 'answers.jsonl');
    writeFileSync(file, `${readFileSync(file, 'utf8').split('\n')[0]}\n{"index":\n`);
    await expect(writeReport(folder)).rejects.toThrow(/answers\.jsonl:2: expected a usable row/);
  });
});
