// Puts the model that recipes/pretrain-kata.yaml made where the quickstart finds it, with the log of its training.
//
//   npx heed run recipes/pretrain-kata.yaml --out runs/base && node scripts/ship-base.js runs/base

import { createHash } from 'node:crypto';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const logEvery = 20;
const root = fileURLToPath(new URL('..', import.meta.url));
const [pipeline = 'runs/base'] = process.argv.slice(2);

const { stages } = JSON.parse(readFileSync(join(pipeline, 'pipeline.json'), 'utf8'));
const { folder } = stages.find(({ name }) => name === 'pretrain');
const model = join(pipeline, folder, 'model');
const events = readFileSync(join(pipeline, folder, 'events.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map(JSON.parse);
const steps = events.filter(({ type }) => type === 'step');
const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');
const told = {
  recipe: sha256(join(root, 'recipes/pretrain-kata.yaml')),
  weights: sha256(join(model, 'model.safetensors')),
  stages: stages.map(({ name, key, seconds }) => ({ name, key, seconds })),
};
const logged = steps.filter(({ step }, i) => step % logEvery === 0 || i === steps.length - 1);
const lines = [
  told,
  ...logged.map(({ step, tokens, loss, learning_rate }) => ({
    ...{ step, tokens },
    loss: Number(loss.toPrecision(4)),
    learning_rate: Number(learning_rate.toPrecision(3)),
  })),
];

const shipped = join(root, 'models/kata-base');
rmSync(shipped, { recursive: true, force: true });
cpSync(model, shipped, { recursive: true });
writeFileSync(`${shipped}.log.jsonl`, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
console.log(`${shipped}: ${steps.length} updates, loss ${steps.at(-1).loss.toFixed(4)}`);
