import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { everyStage } from './stages.ts';

const named = everyStage.map((stage) => [stage.name, stage] as const);

describe.each(named)('the stage %s', (_, { options, models, job }) => {
  it('says of every option that takes any text what the text stands for', () => {
    const texts = options.filter(({ kind, choices }) => kind === 'string' && !choices);
    expect(texts.filter(({ holds }) => holds === undefined)).toEqual([]);
    expect(options.filter((option) => option.holds && !texts.includes(option))).toEqual([]);
  });

  it('has a role for every model that its options name, and an option for every role', () => {
    const naming = options.filter(({ holds }) => holds === 'model' || holds === 'reward');
    const [byOption, byRole] = [naming.map(({ name }) => name), models.map(({ option }) => option)];
    expect(byRole.toSorted()).toEqual(byOption.toSorted());
  });

  it('has a job in a module that exports it', () => {
    const source = fileURLToPath(job.module).replace(/\.js$/, '.ts');
    expect(existsSync(source)).toBe(true);
    expect(readFileSync(source, 'utf8')).toMatch(new RegExp(`^export async function ${job.name}\\(`, 'm'));
  });

  it('describes every option', () => {
    expect(options.filter(({ description }) => description === '')).toEqual([]);
  });
});

it('every file of a stage is in the list', () => {
  const files = readdirSync('src/app/stages').filter((name) =>
    /= defineStage\(/.test(readFileSync(`src/app/stages/${name}`, 'utf8')),
  );
  expect(files.length).toBe(everyStage.length);
});

describe('every stage that trains', () => {
  const training = everyStage.filter(({ schema }) => 'weightDecay' in schema.shape);
  const needed = { model: 'm', data: ['d'], out: 'o', reward: ['r'] };
  const issuesOf = (options: (typeof training)[number]['schema'], given: object) =>
    options.safeParse({ ...needed, ...given }).error?.issues;

  it.each(training.map(({ name, schema }) => [name, schema] as const))(
    'refuses rates that leave no weight: %s',
    (_, options) => {
      const wiping = { learningRate: 10, weightDecay: 0.1 };
      expect(issuesOf(options, { ...wiping, weightDecay: 0.09 })).toBeUndefined();
      expect(issuesOf(options, wiping)).toMatchObject([{ code: 'custom', params: { found: '10 × 0.1' } }]);
      for (const beta of ['beta1', 'beta2']) {
        expect(issuesOf(options, { [beta]: 0.9999 })).toBeUndefined();
        expect(issuesOf(options, { [beta]: 1 })).toMatchObject([{ code: 'too_big', path: [beta] }]);
      }
    },
  );

  it.each(training.map(({ name, schema }) => [name, schema] as const))(
    'saves on the way unasked, so that a crash costs minutes: %s',
    (name, options) => {
      expect(options.parse(needed)).toMatchObject({
        saveEvery: ['ppo', 'grpo', 'rloo'].includes(name) ? 20 : 500,
      });
    },
  );

  it('judges the rate of the value model too', () => {
    const { schema } = everyStage.find(({ name }) => name === 'ppo')!;
    expect(issuesOf(schema, { valueLearningRate: 20, weightDecay: 0.1 })).toMatchObject([
      { message: expect.stringMatching(/^--value-learning-rate × --weight-decay below 1/) },
    ]);
  });
});
