// A stage on the command line: its events and its summary on the terminal, the memory of its models with --dry-run.

import { recipeText } from '../../align/run/recipe.ts';
import { type ModelMemory, memoryOfModels } from '../stages/models-held.ts';
import { runStage } from '../stages/run-stage.ts';
import type { Stage } from '../stages/stage.ts';
import type { Command } from './command.ts';
import { bytesText, countText } from './quantity-text.ts';
import { showStage } from './show-stage.ts';
import type { Terminal } from './terminal.ts';

export function stageCommand(stage: Stage): Command {
  const { name, description, schema } = stage;
  return {
    name,
    description,
    options: schema,
    plan: {
      shows: stage.models.length > 0 ? 'the options, with the memory of the models' : 'the options',
      show: (...given) => showPlan(stage, ...given),
    },
    run: (options, terminal, signal) => performStage(stage, options, terminal, signal),
  };
}

/** @returns the stage's result */
export async function performStage(
  stage: Stage,
  options: Record<string, unknown>,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<object> {
  const show = showStage(terminal);
  try {
    const result = await runStage(stage, options, { onEvent: show.event, signal });
    show.summary(stage.summary(result, options));
    return result;
  } catch (error) {
    show.end();
    throw error;
  } finally {
    terminal.endProgress();
  }
}

/** YAML that --config takes, with the memory as comments. */
async function showPlan(stage: Stage, options: Record<string, unknown>, terminal: Terminal): Promise<object> {
  terminal.line(recipeText({ command: stage.name, options }).trimEnd());
  const memory = await memoryOfModels(stage, options);
  for (const row of memory) terminal.line(`# ${memoryText(row)}`);
  return { command: stage.name, options, ...(memory.length > 0 && { memory: memory.map(memoryJson) }) };
}

function memoryText({ role, weights, parameters, ...bytes }: ModelMemory): string {
  if (parameters === undefined) return `${role}: unknown, as its model is not there`;
  const head = `${role}: ${countText(parameters)} parameters`;
  if (weights === 'shared') return `${head}, the policy's own weights`;
  const state = [`weights ${bytesText(bytes.weightsBytes)}`];
  if (weights === 'trained') {
    state.push(`gradients ${bytesText(bytes.gradientBytes)}`);
    state.push(`optimiser states ${bytesText(bytes.optimizerBytes)}`);
  }
  return `${head}, ${weights}: ${state.join(', ')}`;
}

function memoryJson({ role, weights, model, parameters, ...bytes }: ModelMemory): object {
  return {
    ...{ role, weights, model: model ?? null, parameters: parameters ?? null },
    weights_bytes: bytes.weightsBytes,
    gradient_bytes: bytes.gradientBytes,
    optimizer_bytes: bytes.optimizerBytes,
  };
}
