// heed chat's job: holds a model and answers messages one after the other, text as it comes. A model with a chat
// template sees the conversation so far; any other sees each message alone, as an Alpaca instruction.

import { UserError } from '../../engine/errors.ts';
import type { Device } from '../../engine/runtime/backend.ts';
import { backendOf, type JobContext, type TalkingJobContext } from '../../engine/runtime/job.ts';
import { type OpenedModel, openModel } from '../../language/checkpoint/open-model.ts';
import { type Completion, Generator } from '../../language/generation/generate.ts';
import { problemOf, tokenizePlainPrompt } from '../data/prompts.ts';
import type { Message } from '../data/records.ts';
import type { PromptTemplate } from '../data/tokenize.ts';
import { tokenizeChatPrompt } from '../data/tokenize.ts';

export interface ChatOptions {
  model: string;
  /** `auto`: the model's chat template where it has one, otherwise Alpaca's. */
  template: PromptTemplate | 'auto';
  /** Most tokens of an answer. */
  maxTokens: number;
  device: Device;
  threads: number;
}

export type ChatMessage =
  /** The conversation so far, ending with the user's message. The next one waits for the answer. */
  | { type: 'ask'; messages: Message[]; temperature: number; seed: number }
  /** Ends the answer that is being given. */
  | { type: 'interrupt' };

export type ChatEvent =
  | { type: 'ready'; template: PromptTemplate }
  /** The oldest messages no longer fit into the context and were dropped. */
  | { type: 'forgotten'; messages: number }
  | { type: 'text'; text: string }
  | { type: 'answered'; text: string; tokens: number; finish: Completion['finish'] | 'interrupted' }
  | { type: 'refused'; reason: string };

/** @throws UserError when the model cannot be used */
export async function chat(
  options: ChatOptions,
  context: TalkingJobContext<ChatEvent, ChatMessage>,
): Promise<object> {
  const { emit, signal, messages } = context;
  const speaker = await Speaker.open(options, context);
  emit({ type: 'ready', template: speaker.template });
  let interruption = new AbortController();
  let answering: Promise<void> = Promise.resolve();
  let fail: (error: unknown) => void;
  const failure = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const listen = async () => {
    for await (const message of messages) {
      if (message.type === 'interrupt') interruption.abort();
      else {
        await answering;
        interruption = new AbortController();
        const either = AbortSignal.any([signal, interruption.signal]);
        answering = speaker.answer(message, emit, either).catch(fail);
      }
    }
    await answering;
  };
  await Promise.race([listen(), failure]);
  await speaker.close();
  return {};
}

class Speaker {
  readonly template: PromptTemplate;
  private readonly opened: OpenedModel;
  private readonly generator: Generator;
  private readonly maxTokens: number;

  private constructor(options: ChatOptions, opened: OpenedModel, generator: Generator) {
    const own = opened.prompts.chatTemplate === undefined ? 'alpaca' : 'chat';
    this.template = options.template === 'auto' ? own : options.template;
    this.maxTokens = options.maxTokens;
    this.opened = opened;
    this.generator = generator;
  }

  static async open(options: ChatOptions, context: JobContext<ChatEvent>): Promise<Speaker> {
    const opened = await openModel(options.model, { expectKind: ['base', 'policy'] });
    const { model, tokenizer } = opened;
    const generator = new Generator(await backendOf(context, options), model, { batchSize: 1, tokenizer });
    return new Speaker(options, opened, generator);
  }

  async close(): Promise<void> {
    await this.generator.close();
  }

  /** Emits the answer's text and its end, or why there is none. */
  async answer(
    { messages, temperature, seed }: Extract<ChatMessage, { type: 'ask' }>,
    emit: (event: ChatEvent) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const prompt = this.promptOf(messages);
    if (typeof prompt === 'string') return emit({ type: 'refused', reason: prompt });
    if (prompt.forgotten > 0) emit({ type: 'forgotten', messages: prompt.forgotten });
    const heard = { text: '', tokens: 0 };
    const say = (text: string) => {
      if (text !== '') emit({ type: 'text', text });
      heard.text += text;
    };
    const request = {
      promptIds: prompt.ids,
      maxTokens: this.maxTokens,
      seed,
      sampling: { temperature },
      stopIds: this.opened.stopIds,
    };
    try {
      const [completion] = await this.generator.generate([request], {
        signal,
        onToken({ text = '' }) {
          heard.tokens += 1;
          say(text);
        },
      });
      say((completion.text ?? '').slice(heard.text.length));
      emit({ type: 'answered', ...heard, finish: completion.finish });
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
      emit({ type: 'answered', ...heard, finish: 'interrupted' });
    }
  }

  /** @returns why the model cannot go on from the messages, if it cannot */
  private promptOf(messages: readonly Message[]): { ids: number[]; forgotten: number } | string {
    try {
      const prompt = this.template === 'chat' ? this.conversation(messages) : this.lastMessage(messages);
      const { maxPositions: context, vocabularySize } = this.opened.model.config;
      const tokenizer = () => this.opened.prompts;
      return problemOf(prompt.ids, { template: this.template, context, vocabularySize, tokenizer }) ?? prompt;
    } catch (error) {
      if (error instanceof UserError) return error.message;
      throw error;
    }
  }

  private lastMessage(messages: readonly Message[]): { ids: number[]; forgotten: number } {
    const text = messages.at(-1)?.content ?? '';
    return { ids: tokenizePlainPrompt(text, this.template, this.opened.prompts), forgotten: 0 };
  }

  /** Without the oldest exchanges where a quarter of the context would not be left for the answer. */
  private conversation(messages: readonly Message[]): { ids: number[]; forgotten: number } {
    const context = this.opened.model.config.maxPositions;
    const room = context - Math.min(this.maxTokens, Math.floor(context / 4));
    for (let forgotten = 0; ; forgotten += 2) {
      const ids = tokenizeChatPrompt(messages.slice(forgotten), this.opened.prompts);
      if (ids.length <= room || forgotten + 2 >= messages.length) return { ids, forgotten };
    }
  }
}
