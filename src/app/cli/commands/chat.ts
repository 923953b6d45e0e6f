// heed chat: talk to a checkpoint in the terminal.

import { createInterface, type Interface } from 'node:readline';
import { z } from 'zod';
import type { ChatOptions } from '../../../align/evaluation/chat.ts';
import { nearestWord } from '../../../engine/errors.ts';
import { resolveComputing } from '../../stages/computing.ts';
import {
  generationOptions,
  modelOptions,
  stageOptions,
  temperatureFromZero,
} from '../../stages/shared-options.ts';
import { defineCommand } from '../command.ts';
import { Conversation } from '../conversation.ts';
import type { Terminal } from '../terminal.ts';
import { visible } from '../visible.ts';

const help = `/help             this list
/reset            start a new conversation
/temperature 0.7  sample at temperature 0.7 from now on; 0 is greedy
/quit             quit, like Ctrl-D
Ctrl-C stops an answer.`;

export const chat = defineCommand({
  name: 'chat',
  description: 'talk to a model in the terminal',
  options: z.object({
    ...modelOptions,
    template: z
      .enum(['auto', 'chat', 'alpaca', 'none'])
      .default('auto')
      .describe(
        "auto: the model's chat template if it has one, else each message alone as an Alpaca instruction",
      ),
    temperature: temperatureFromZero.default(0.7),
    maxTokens: generationOptions.maxTokens.default(256),
    seed: stageOptions.seed,
  }),
  async run(options, terminal, signal) {
    const payload: ChatOptions & { temperature: number; seed: number } = resolveComputing(options);
    const { conversation, template } = await Conversation.open(payload, terminal, signal);
    const lines = openLines(conversation, terminal, signal);
    const manner = template === 'chat' ? 'the conversation is remembered' : 'each message stands alone';
    if (lines.terminal) terminal.note(`template ${template}: ${manner}. /help lists what else there is.`);
    await converse(lines, conversation, terminal);
    await conversation.close();
    const { turns } = conversation;
    const tokens_generated = turns.reduce((total, { tokens }) => total + tokens, 0);
    return { model: options.model, template, turns, tokens_generated };
  },
});

/** Lines of stdin; prompts go to stderr, and only where a person types. */
function openLines(conversation: Conversation, terminal: Terminal, signal: AbortSignal): Interface {
  const { stdin: input, stderr } = process;
  const isTyped = input.isTTY === true && stderr.isTTY === true;
  const lines = createInterface({ input, output: isTyped ? stderr : undefined, terminal: isTyped });
  lines.setPrompt('> ');
  // With a terminal readline takes Ctrl-C; without one it is a signal, which ends the program.
  lines.on('SIGINT', () => {
    if (conversation.isAnswering) return conversation.interrupt();
    terminal.note('Ctrl-D or /quit ends.');
    lines.prompt();
  });
  signal.addEventListener('abort', () => lines.close());
  conversation.ended.catch(() => lines.close());
  return lines;
}

async function converse(lines: Interface, conversation: Conversation, terminal: Terminal): Promise<void> {
  const prompt = () => {
    if (lines.terminal) lines.prompt();
  };
  prompt();
  for await (const line of lines) {
    const text = line.trim();
    if (text === '/quit') return lines.close();
    if (text.startsWith('/')) obey(text, conversation, terminal);
    else if (text !== '') await conversation.ask(text);
    prompt();
  }
  // Ctrl-D leaves the cursor behind the prompt.
  if (lines.terminal) terminal.note('');
}

const words = ['/help', '/reset', '/temperature', '/quit'];

function obey(text: string, conversation: Conversation, terminal: Terminal): void {
  const [word, value] = text.split(/\s+/);
  if (word === '/help') terminal.note(help);
  else if (word === '/reset') {
    conversation.reset();
    terminal.note('a new conversation');
  } else if (word === '/temperature') setTemperature(value, conversation, terminal);
  else {
    const near = nearestWord(word, words);
    terminal.warn(`unknown command ${visible(word)}. Try ${near ?? '/help'}.`);
  }
}

function setTemperature(value: string | undefined, conversation: Conversation, terminal: Terminal): void {
  const temperature = Number(value ?? conversation.temperature);
  if (!Number.isFinite(temperature) || temperature < 0) {
    terminal.warn(`/temperature: expected a number, at least 0, got ${visible(value ?? '')}`);
    return;
  }
  conversation.temperature = temperature;
  terminal.note(`temperature ${temperature}`);
}
