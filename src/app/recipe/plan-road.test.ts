// biome-ignore-all lint/suspicious/noTemplateCurlyInString: recipes refer to stages by ${name}
import { cpSync, renameSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { saveTinyModel } from '../../align/run/testing/tiny-run.ts';
import { evaluate } from '../cli/commands/eval.ts';
import { ppo } from '../cli/commands/ppo.ts';
import { reward } from '../cli/commands/reward.ts';
import { makeModelsFromScratch } from './from-scratch.ts';
import type { Plan } from './plan-road.ts';
import { readRecipe } from './read-recipe.ts';
import { SmallRoad, smallCommands, stageCommand, twoStages } from './testing/small-road.ts';

let road: SmallRoad;
beforeEach(() => {
  road = new SmallRoad();
});
afterEach(() => road.remove());

const keys = ({ stages }: Plan) => Object.fromEntries(stages.map(({ name, key }) => [name, key]));
/** Names of the stages whose keys differ. */
const changed = (a: Plan, b: Plan) => Object.keys(keys(a)).filter((name) => keys(a)[name] !== keys(b)[name]);
const refusal = (text: string) =>
  road.plan(text).then(
    () => 'no refusal',
    (error) => error.message.replaceAll(`${road.folder}/`, ''),
  );

describe("a stage's key", () => {
  it('changes with an option for the stage and all that read it, and for no other', async () => {
    const text = `${twoStages}  other: { command: say, text: bye }\n`;
    const before = await road.plan(text);
    expect(changed(before, await road.plan(text.replace('hello }', 'hi }')))).toEqual(['hello', 'twice']);
    expect(changed(before, await road.plan(text.replace('times: 2', 'times: 3')))).toEqual(['twice']);
  });

  it('changes with the seed for what has one', async () => {
    const before = await road.plan(twoStages);
    expect(before.stages[0].options.seed).toBe(3);
    expect(changed(before, await road.plan(twoStages, { seed: 4 }))).toEqual(['hello', 'twice']);
    const own = twoStages.replace('text: hello', 'text: hello, seed: 3');
    expect(changed(before, await road.plan(own, { seed: 4 }))).toEqual([]);
  });

  it('changes with the version of heed and with the revision of a command', async () => {
    const before = await road.plan(twoStages);
    road.commands = smallCommands.map((command) =>
      command.name === 'join' ? { ...command, revision: 1 } : command,
    );
    expect(changed(before, await road.plan(twoStages))).toEqual(['twice']);
    road.version = '2';
    expect(changed(before, await road.plan(twoStages))).toEqual(['hello', 'twice']);
  });

  it('stays under another folder, name, order of options, spelt-out default, and number of threads', async () => {
    const before = await road.plan(twoStages);
    const other = twoStages.replace(
      "{ command: join, data: ['${hello}/text.txt'], times: 2 }",
      '{ times: 2, ending: none, command: join, data: "${hello}/text.txt" }',
    );
    const after = await road.plan(other, { out: 'elsewhere', threads: 1, file: 'b/other.yaml' });
    expect(changed(before, after)).toEqual([]);
    expect(after.stages[1].options.threads).toBe(1);
  });

  it('changes with what a data file holds, not with where it lies', async () => {
    const text = (file: string) => `stages:\n  a: { command: join, data: [${file}] }\n`;
    road.put('one.txt', 'one');
    road.put('deep/copy.txt', 'one');
    const before = await road.plan(text('one.txt'));
    expect(changed(before, await road.plan(text('./deep/copy.txt')))).toEqual([]);
    road.put('one.txt', 'two');
    expect(changed(before, await road.plan(text('one.txt')))).toEqual(['a']);
  });

  it.each([
    ['reward', 'eval-data', '[input]', ''],
    ['reward', 'sft-answers', '[input]', ''],
    ['eval', 'reward', 'input', ''],
    ['ppo', 'reward', '[input]', ''],
    ['ppo', 'reward', "['input*0.5']", '*0.5'],
    ['ppo', 'watch', "['kata:pass', 'input.js#f*2']", '.js#f*2'],
    ['ppo', 'reward', "['input.ts#f']", '.ts#f'],
  ])('changes with what %s reads by %s: %s', async (command, word, value, part) => {
    road.commands = [reward, evaluate, ppo].map(stageCommand);
    const other = word === 'watch' ? ", reward: ['kata:gold']" : '';
    const text = `stages:\n  a: { command: ${command}, model: m, data: [d], ${word}: ${value}${other} }\n`;
    for (const name of ['m', 'd', 'input', 'input.js', 'input.ts']) road.put(name, 'one');
    const before = await road.plan(text);
    expect(Object.values(before.stages[0].options).flat()).toContain(road.path(`input${part}`));
    expect(before.stages[0].pathWords).toContain(word);
    for (const name of ['input', 'input.js', 'input.ts']) road.put(name, 'two');
    expect(changed(before, await road.plan(text))).toEqual(['a']);
  });

  it('reads a data file whose name looks like a weighted reward', async () => {
    road.put('rows*2', 'rows');
    const plan = await road.plan("stages:\n  a: { command: join, data: ['rows*2'] }\n");
    expect(plan.stages[0].options.data).toEqual([road.path('rows*2')]);
  });

  it("takes no text of a command's for a file", async () => {
    const plan = await road.plan('stages:\n  a: { command: say, text: /gone }\n');
    expect(plan.stages[0].options.text).toBe('/gone');
  });

  it('changes with a model, not with where it lies', async () => {
    const text = (folder: string) =>
      `models: { base: ${folder} }\nstages:\n  a: { command: join, data: ['\${base}/config.json'] }\n`;
    await saveTinyModel(road.path('base'));
    const before = await road.plan(text('base'));
    renameSync(road.path('base'), road.path('moved'));
    const after = await road.plan(text('moved'));
    expect(changed(before, after)).toEqual([]);
    expect(after.stages[0].options.data).toEqual([road.path('moved/config.json')]);
    cpSync(road.path('moved'), road.path('run/model'), { recursive: true });
    expect(changed(before, await road.plan(text('run')))).toEqual([]);
  });
});

describe('a recipe is refused before anything runs', () => {
  const stage = (options: string) => `stages:\n  one: { command: say, text: a }\n  two: { ${options} }\n`;

  it.each([
    [
      'an unknown command',
      stage('command: joyn'),
      'road.yaml:3:3 (two): expected a command (say, join), got unknown joyn. Try join.',
    ],
    [
      'an unknown option',
      stage('command: join, data: [x], tims: 2'),
      'road.yaml:3:36 (two: tims): expected an option of heed join, got an unknown one, tims. Try times.',
    ],
    [
      'a wrong value',
      stage("command: join, data: ['${one}/x'], times: 0"),
      'road.yaml:3:45 (two: times): expected an integer, at least 1, got 0.',
    ],
    [
      'a wrong choice',
      stage("command: join, data: ['${one}/x'], ending: newlin"),
      'road.yaml:3:45 (two: ending): expected one of none, newline, got "newlin". Try newline.',
    ],
    [
      'a missing option',
      stage('command: join'),
      'road.yaml:3:3 (two): expected data for heed join (files), got none. Try a key data.',
    ],
    [
      'an unknown stage',
      stage("command: join, data: ['${on}/x']"),
      'road.yaml:3:25 (two: data): expected a model or an earlier stage (one), got unknown ${on}. Try one.',
    ],
    [
      'a stage that reads itself',
      stage("command: join, data: ['${two}/x']"),
      'road.yaml:3:25 (two: data): expected a model or an earlier stage (one), got ${two}, which is not earlier. ' +
        'Try moving the stage two up.',
    ],
    [
      'a folder of its own',
      stage('command: say, text: a, out: here'),
      'road.yaml:3:33 (two: out): expected options of the stage alone, got out, which the runner sets. ' +
        'Try leaving it out; --out of heed run is the folder of all stages.',
    ],
    [
      'what can be read only once',
      stage('command: join, data: [/dev/null]'),
      'road.yaml:3:25 (two: data): expected a file or folder, got /dev/null, which is neither.',
    ],
    [
      'a file that is not there',
      stage('command: join, data: [gone.txt]'),
      'road.yaml:3:25 (two: data): expected a file or folder that is there (paths are relative to the recipe), ' +
        'got gone.txt, which is not.',
    ],
    [
      'a model that is not there',
      'models: { base: gone }\nstages:\n  a: { command: say, text: a }\n',
      "road.yaml:1:11 (models: base): gone: expected a model's folder, with config.json in it or in its folder " +
        'model/, got no such folder.',
    ],
    ['nothing', '', 'road.yaml: expected a recipe with `stages`, got nothing.'],
    ['no stages', 'seed: 1\n', 'road.yaml: expected at least one stage below `stages`, got nothing.'],
    ['an unknown key', 'stage: {}\n', 'road.yaml:1:1 (stage): expected a known key, got stage. Try stages.'],
    [
      'a stage twice',
      'stages:\n  a: { command: say }\n  a: { command: say }\n',
      'road.yaml:3:3: expected YAML, got Map keys must be unique.',
    ],
    [
      'a name that could leave the folder',
      'stages:\n  ../a: { command: say }\n',
      'road.yaml:2:3 (../a): expected a name of letters, digits and hyphens, got "../a".',
    ],
    [
      'a seed below 0',
      'seed: -1\nstages:\n  a: { command: say }\n',
      'road.yaml:1:1 (seed): expected integers, at least 0, got [-1].',
    ],
    [
      'a seed twice',
      'seeds: [1, 2, 1]\nstages:\n  a: { command: say }\n',
      'road.yaml:1:1 (seeds): expected each seed once, got [1,2,1].',
    ],
    [
      'a report that heed cannot write',
      'report: kanji\nstages:\n  a: { command: say }\n',
      'road.yaml:1:1 (report): expected one of kata, got "kanji".',
    ],
  ])('for %s', async (_, text, message) => {
    expect(await refusal(text)).toBe(message);
  });
});

describe('a recipe that extends another', () => {
  it('changes options one by one, keeps the order, and puts new stages last', async () => {
    road.put('parent/base.yaml', twoStages);
    const plan = await road.plan(
      'extends: parent/base.yaml\nseeds: [7, 8]\nstages:\n  new: { command: say, text: n }\n  twice: { times: 5 }\n',
    );
    expect(plan.stages.map(({ name }) => name)).toEqual(['hello', 'twice', 'new']);
    expect(plan.stages[1].words).toMatchObject({ data: ['${hello}/text.txt'], times: 5 });
    expect(plan.seed).toBe(7);
  });

  it('reads paths relative to the file that names them', async () => {
    road.put('parent/rows.txt', 'rows');
    road.put('parent/base.yaml', 'stages:\n  a: { command: join, data: [./rows.txt] }\n');
    const plan = await road.plan('extends: parent/base.yaml\n');
    expect(plan.stages[0].options.data).toEqual([road.path('parent/rows.txt')]);
  });

  it('may not extend itself', async () => {
    road.put('other.yaml', 'extends: road.yaml\n');
    expect(await refusal('extends: other.yaml\n')).toMatch(
      /\(extends\): expected another recipe, got one that/,
    );
  });
});

describe('a recipe from scratch', () => {
  it("puts the stages that make a model first, under the model's name and with their own seed", () => {
    road.put('maker.yaml', twoStages);
    const use = "stages:\n  use: { command: join, data: ['${base}/text.txt'] }\n";
    road.put('user.yaml', `seed: 9\nmodels: { base: { folder: gone, made-by: maker.yaml } }\n${use}`);
    const { stages, models } = makeModelsFromScratch(readRecipe(road.path('user.yaml')));
    const data = stages.map(({ name, seed, options }) => [name, seed, options.get('data')?.value]);
    expect(data).toEqual([
      ['base-hello', 3, undefined],
      ['base-twice', 3, ['${base-hello}/text.txt']],
      ['use', undefined, ['${base-twice}/text.txt']],
    ]);
    expect([...models]).toEqual([]);
  });

  it('is refused when no model says what makes it', () => {
    road.put('user.yaml', twoStages);
    expect(() => makeModelsFromScratch(readRecipe(road.path('user.yaml')))).toThrow(
      /expected a model with made-by: .* got no models\. Try without --from-scratch/,
    );
  });
});
