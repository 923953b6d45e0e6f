// biome-ignore-all lint/suspicious/noTemplateCurlyInString: recipes refer to stages by ${name}
import { cpSync, renameSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { saveTinyModel } from '../../align/run/testing/tiny-run.ts';
import { everyStage } from '../stages/stages.ts';
import { makeModelsFromScratch } from './from-scratch.ts';
import type { Plan } from './plan-pipeline.ts';
import { readRecipe } from './read-recipe.ts';
import { SmallPipeline, smallStages, twoStages } from './testing/small-pipeline.ts';

let pipeline: SmallPipeline;
beforeEach(() => {
  pipeline = new SmallPipeline();
});
afterEach(() => pipeline.remove());

const keys = ({ stages }: Plan) => Object.fromEntries(stages.map(({ name, key }) => [name, key]));
/** Names of the stages whose keys differ. */
const changed = (a: Plan, b: Plan) => Object.keys(keys(a)).filter((name) => keys(a)[name] !== keys(b)[name]);
const refusal = (text: string) =>
  pipeline.plan(text).then(
    () => 'no refusal',
    (error) => error.message.replaceAll(`${pipeline.folder}/`, ''),
  );

describe("a stage's key", () => {
  it('changes with an option for the stage and all that read it, and for no other', async () => {
    const text = `${twoStages}  other: { command: say, text: bye }\n`;
    const before = await pipeline.plan(text);
    expect(changed(before, await pipeline.plan(text.replace('hello }', 'hi }')))).toEqual(['hello', 'twice']);
    expect(changed(before, await pipeline.plan(text.replace('times: 2', 'times: 3')))).toEqual(['twice']);
  });

  it('changes with the seed for what has one', async () => {
    const before = await pipeline.plan(twoStages);
    expect(before.stages[0].options.seed).toBe(3);
    expect(changed(before, await pipeline.plan(twoStages, { seed: 4 }))).toEqual(['hello', 'twice']);
    const own = twoStages.replace('text: hello', 'text: hello, seed: 3');
    expect(changed(before, await pipeline.plan(own, { seed: 4 }))).toEqual([]);
  });

  it('changes with the version of heed and with the revision of a command', async () => {
    const before = await pipeline.plan(twoStages);
    pipeline.stages = smallStages.map((command) =>
      command.name === 'join' ? { ...command, revision: 1 } : command,
    );
    expect(changed(before, await pipeline.plan(twoStages))).toEqual(['twice']);
    pipeline.version = '2';
    expect(changed(before, await pipeline.plan(twoStages))).toEqual(['hello', 'twice']);
  });

  it('stays under another folder, name, order of options, spelt-out default, and number of threads', async () => {
    const before = await pipeline.plan(twoStages);
    const other = twoStages.replace(
      "{ command: join, data: ['${hello}/text.txt'], times: 2 }",
      '{ times: 2, ending: none, command: join, data: "${hello}/text.txt" }',
    );
    const after = await pipeline.plan(other, { out: 'elsewhere', threads: 1, file: 'b/other.yaml' });
    expect(changed(before, after)).toEqual([]);
    expect(after.stages[1].options.threads).toBe(1);
  });

  it('changes with what a data file holds, not with where it lies', async () => {
    const text = (file: string) => `stages:\n  a: { command: join, data: [${file}] }\n`;
    pipeline.put('one.txt', 'one');
    pipeline.put('deep/copy.txt', 'one');
    const before = await pipeline.plan(text('one.txt'));
    expect(changed(before, await pipeline.plan(text('./deep/copy.txt')))).toEqual([]);
    pipeline.put('one.txt', 'two');
    expect(changed(before, await pipeline.plan(text('one.txt')))).toEqual(['a']);
  });

  it.each([
    ['reward', 'eval-data', '[input]', ''],
    ['reward', 'sft-completions', '[input]', ''],
    ['eval', 'reward', 'input', ''],
    ['ppo', 'reward', '[input]', ''],
    ['ppo', 'reward', "['input*0.5']", '*0.5'],
    ['ppo', 'watch', "['kata:pass', 'input.js#f*2']", '.js#f*2'],
    ['ppo', 'reward', "['input.ts#f']", '.ts#f'],
  ])('changes with what %s reads by %s: %s', async (command, word, value, part) => {
    pipeline.stages = everyStage;
    const other = word === 'watch' ? ", reward: ['kata:gold']" : '';
    const text = `stages:\n  a: { command: ${command}, model: m, data: [d], ${word}: ${value}${other} }\n`;
    for (const name of ['m', 'd', 'input', 'input.js', 'input.ts']) pipeline.put(name, 'one');
    const before = await pipeline.plan(text);
    expect(Object.values(before.stages[0].options).flat()).toContain(pipeline.path(`input${part}`));
    expect(before.stages[0].pathWords).toContain(word);
    for (const name of ['input', 'input.js', 'input.ts']) pipeline.put(name, 'two');
    expect(changed(before, await pipeline.plan(text))).toEqual(['a']);
  });

  it('reads a data file whose name looks like a weighted reward', async () => {
    pipeline.put('rows*2', 'rows');
    const plan = await pipeline.plan("stages:\n  a: { command: join, data: ['rows*2'] }\n");
    expect(plan.stages[0].options.data).toEqual([pipeline.path('rows*2')]);
  });

  it("takes no text of a command's for a file", async () => {
    const plan = await pipeline.plan('stages:\n  a: { command: say, text: /gone }\n');
    expect(plan.stages[0].options.text).toBe('/gone');
  });

  it('changes with a model, not with where it lies', async () => {
    const text = (folder: string) =>
      `models: { base: ${folder} }\nstages:\n  a: { command: join, data: ['\${base}/config.json'] }\n`;
    await saveTinyModel(pipeline.path('base'));
    const before = await pipeline.plan(text('base'));
    renameSync(pipeline.path('base'), pipeline.path('moved'));
    const after = await pipeline.plan(text('moved'));
    expect(changed(before, after)).toEqual([]);
    expect(after.stages[0].options.data).toEqual([pipeline.path('moved/config.json')]);
    cpSync(pipeline.path('moved'), pipeline.path('run/model'), { recursive: true });
    expect(changed(before, await pipeline.plan(text('run')))).toEqual([]);
  });
});

describe('a recipe is refused before anything runs', () => {
  const stage = (options: string) => `stages:\n  one: { command: say, text: a }\n  two: { ${options} }\n`;

  it.each([
    [
      'an unknown command',
      stage('command: joyn'),
      'pipeline.yaml:3:3 (two): expected a command (say, join), got unknown joyn. Try join.',
    ],
    [
      'an unknown option',
      stage('command: join, data: [x], tims: 2'),
      'pipeline.yaml:3:36 (two: tims): expected an option of heed join, got an unknown one, tims. Try times.',
    ],
    [
      'a wrong value',
      stage("command: join, data: ['${one}/x'], times: 0"),
      'pipeline.yaml:3:45 (two: times): expected an integer, at least 1, got 0.',
    ],
    [
      'a wrong choice',
      stage("command: join, data: ['${one}/x'], ending: newlin"),
      'pipeline.yaml:3:45 (two: ending): expected one of none, newline, got "newlin". Try newline.',
    ],
    [
      'a missing option',
      stage('command: join'),
      'pipeline.yaml:3:3 (two): expected data for heed join (files), got none. Try a key data.',
    ],
    [
      'an unknown stage',
      stage("command: join, data: ['${on}/x']"),
      'pipeline.yaml:3:25 (two: data): expected a model or an earlier stage (one), got unknown ${on}. Try one.',
    ],
    [
      'a stage that reads itself',
      stage("command: join, data: ['${two}/x']"),
      'pipeline.yaml:3:25 (two: data): expected a model or an earlier stage (one), got ${two}, which is not earlier. ' +
        'Try moving the stage two up.',
    ],
    [
      'a folder of its own',
      stage('command: say, text: a, out: here'),
      'pipeline.yaml:3:33 (two: out): expected options of the stage alone, got out, which the runner sets. ' +
        'Try leaving it out; --out of heed run is the folder of all stages.',
    ],
    [
      'what can be read only once',
      stage('command: join, data: [/dev/null]'),
      'pipeline.yaml:3:25 (two: data): expected a file or folder, got /dev/null, which is neither.',
    ],
    [
      'a file that is not there',
      stage('command: join, data: [gone.txt]'),
      'pipeline.yaml:3:25 (two: data): expected a file or folder that is there (paths are relative to the recipe), ' +
        'got gone.txt, which is not.',
    ],
    [
      'a model that is not there',
      'models: { base: gone }\nstages:\n  a: { command: say, text: a }\n',
      "pipeline.yaml:1:11 (models: base): gone: expected a model's folder, with config.json or adapter_config.json in it or in its folder " +
        'model/, got no such folder.',
    ],
    ['nothing', '', 'pipeline.yaml: expected a recipe with `stages`, got nothing.'],
    ['no stages', 'seed: 1\n', 'pipeline.yaml: expected at least one stage below `stages`, got nothing.'],
    [
      'an unknown key',
      'stage: {}\n',
      'pipeline.yaml:1:1 (stage): expected a known key, got stage. Try stages.',
    ],
    [
      'a stage twice',
      'stages:\n  a: { command: say }\n  a: { command: say }\n',
      'pipeline.yaml:3:3: expected YAML, got Map keys must be unique.',
    ],
    [
      'a name that could leave the folder',
      'stages:\n  ../a: { command: say }\n',
      'pipeline.yaml:2:3 (../a): expected a name of letters, digits and hyphens, got "../a".',
    ],
    [
      'a seed below 0',
      'seed: -1\nstages:\n  a: { command: say }\n',
      'pipeline.yaml:1:1 (seed): expected integers, at least 0, got [-1].',
    ],
    [
      'a seed twice',
      'seeds: [1, 2, 1]\nstages:\n  a: { command: say }\n',
      'pipeline.yaml:1:1 (seeds): expected each seed once, got [1,2,1].',
    ],
    [
      'a report that heed cannot write',
      'report: kanji\nstages:\n  a: { command: say }\n',
      'pipeline.yaml:1:1 (report): expected one of kata, got "kanji".',
    ],
  ])('for %s', async (_, text, message) => {
    expect(await refusal(text)).toBe(message);
  });
});

describe('a recipe that extends another', () => {
  it('changes options one by one, keeps the order, and puts new stages last', async () => {
    pipeline.put('parent/base.yaml', twoStages);
    const plan = await pipeline.plan(
      'extends: parent/base.yaml\nseeds: [7, 8]\nstages:\n  new: { command: say, text: n }\n  twice: { times: 5 }\n',
    );
    expect(plan.stages.map(({ name }) => name)).toEqual(['hello', 'twice', 'new']);
    expect(plan.stages[1].words).toMatchObject({ data: ['${hello}/text.txt'], times: 5 });
    expect(plan.seed).toBe(7);
  });

  it('reads paths relative to the file that names them', async () => {
    pipeline.put('parent/rows.txt', 'rows');
    pipeline.put('parent/base.yaml', 'stages:\n  a: { command: join, data: [./rows.txt] }\n');
    const plan = await pipeline.plan('extends: parent/base.yaml\n');
    expect(plan.stages[0].options.data).toEqual([pipeline.path('parent/rows.txt')]);
  });

  it('may not extend itself', async () => {
    pipeline.put('other.yaml', 'extends: pipeline.yaml\n');
    expect(await refusal('extends: other.yaml\n')).toMatch(
      /\(extends\): expected another recipe, got one that/,
    );
  });
});

describe('a recipe from scratch', () => {
  it("puts the stages that make a model first, under the model's name and with their own seed", () => {
    pipeline.put('maker.yaml', twoStages);
    const use = "stages:\n  use: { command: join, data: ['${base}/text.txt'] }\n";
    pipeline.put('user.yaml', `seed: 9\nmodels: { base: { folder: gone, made-by: maker.yaml } }\n${use}`);
    const { stages, models } = makeModelsFromScratch(readRecipe(pipeline.path('user.yaml')));
    const data = stages.map(({ name, seed, options }) => [name, seed, options.get('data')?.value]);
    expect(data).toEqual([
      ['base-hello', 3, undefined],
      ['base-twice', 3, ['${base-hello}/text.txt']],
      ['use', undefined, ['${base-twice}/text.txt']],
    ]);
    expect([...models]).toEqual([]);
  });

  it('is refused when no model says what makes it', () => {
    pipeline.put('user.yaml', twoStages);
    expect(() => makeModelsFromScratch(readRecipe(pipeline.path('user.yaml')))).toThrow(
      /expected a model with made-by: .* got no models\. Try without --from-scratch/,
    );
  });
});
