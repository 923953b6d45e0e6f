// A conversation with a model that an engine process holds: one question at a time, the answer's text as it comes.

import type { ChatEvent, ChatMessage, ChatOptions } from '../../align/evaluation/chat.ts';
import { type RunningJob, startJob } from '../../engine/runtime/job.ts';
import type { Terminal } from './terminal.ts';
import { visible } from './visible.ts';

/** A question and what was answered. */
export interface Turn {
  /** Counted from 1; a reset begins the next. */
  conversation: number;
  prompt: string;
  answer: string;
  tokens: number;
  finish: Extract<ChatEvent, { type: 'answered' }>['finish'];
  temperature: number;
}

type Said = Extract<ChatEvent, { type: 'ready' | 'answered' | 'refused' }>;

export class Conversation {
  temperature: number;
  readonly turns: Turn[] = [];
  private readonly terminal: Terminal;
  private readonly seed: number;
  private readonly job: RunningJob<object, ChatMessage>;
  private number = 1;
  private heed: ((said: Said) => void) | undefined;

  private constructor(
    options: ChatOptions & { temperature: number; seed: number },
    terminal: Terminal,
    signal: AbortSignal,
  ) {
    const { temperature, seed, ...payload } = options;
    this.temperature = temperature;
    this.seed = seed;
    this.terminal = terminal;
    const module = new URL('../../align/evaluation/chat.js', import.meta.url).href;
    const onEvent = (event: ChatEvent) => this.hear(event);
    this.job = startJob({ module, name: 'chat', payload }, { onEvent, signal });
    // Whoever waits for the model hears of its failure; nobody may be waiting.
    this.job.result.catch(() => {});
  }

  /** Loads the model. @throws UserError when it cannot be used */
  static async open(
    options: ChatOptions & { temperature: number; seed: number },
    terminal: Terminal,
    signal: AbortSignal,
  ): Promise<{ conversation: Conversation; template: string }> {
    const conversation = new Conversation(options, terminal, signal);
    const said = await conversation.next();
    return { conversation, template: said?.type === 'ready' ? said.template : '' };
  }

  get isAnswering(): boolean {
    return this.heed !== undefined;
  }

  /** Rejects when the engine process fails. */
  get ended(): Promise<object> {
    return this.job.result;
  }

  /** Shows the answer while it is given. @throws what the model's process throws */
  async ask(prompt: string): Promise<void> {
    const { temperature, number } = this;
    const messages = this.turns
      .filter(({ conversation }) => conversation === number)
      .flatMap((turn) => [
        { role: 'user' as const, content: turn.prompt },
        { role: 'assistant' as const, content: turn.answer },
      ]);
    messages.push({ role: 'user', content: prompt });
    this.job.send({ type: 'ask', messages, temperature, seed: this.seed + this.turns.length });
    const said = await this.next();
    if (said?.type === 'refused') this.terminal.warn(said.reason);
    if (said?.type !== 'answered') return;
    const { text: answer, tokens, finish } = said;
    this.terminal.line();
    if (finish !== 'stop') this.terminal.note(endings[finish]);
    this.turns.push({ conversation: number, prompt, answer, tokens, finish, temperature });
  }

  interrupt(): void {
    this.job.send({ type: 'interrupt' });
  }

  /** What was said before is forgotten. */
  reset(): void {
    this.number += 1;
  }

  /** Ends the engine process. */
  async close(): Promise<void> {
    this.job.close();
    await this.job.result;
  }

  /** @returns nothing when the engine process ends first, as it does when stopped */
  private async next(): Promise<Said | undefined> {
    const said = new Promise<Said>((resolve) => {
      this.heed = resolve;
    });
    try {
      return await Promise.race([said, this.job.result.then(() => undefined)]);
    } finally {
      this.heed = undefined;
    }
  }

  private hear(event: ChatEvent): void {
    if (event.type === 'text') this.terminal.piece(visible(event.text));
    else if (event.type === 'forgotten') {
      this.terminal.note(`the first ${event.messages} messages no longer fit and are dropped`);
    } else this.heed?.(event);
  }
}

const endings: Record<Exclude<Turn['finish'], 'stop'>, string> = {
  length: '(cut at --max-tokens or at the end of the context)',
  'stop-string': '(ended at a stop text)',
  interrupted: '(interrupted)',
};
