// Records to text: Alpaca's template to the letter (Taori et al. 2023), and chat templates in Transformers' dialect of
// Jinja.
//
// A model without a chat template gets `alpacaChatSource`. It goes on in Alpaca's manner rather than in ChatML: its
// first turn is the Alpaca prompt itself, so what was learnt from Alpaca records holds in conversation, and it needs
// no token that a base model's vocabulary lacks. A system message replaces the opening sentence.

import { Template } from '@huggingface/jinja';
import { FormatError, UserError } from '../../engine/errors.ts';
import {
  leadingTokens,
  type PromptTokenizer,
  requireEndToken,
  tokenName,
} from '../../language/text/prompt-tokenizer.ts';
import type { Message } from './records.ts';

const PREAMBLE =
  'Below is an instruction that describes a task. Write a response that appropriately completes the request.';
const PREAMBLE_WITH_INPUT =
  'Below is an instruction that describes a task, paired with an input that provides further context. ' +
  'Write a response that appropriately completes the request.';

/** Alpaca's prompt; an absent or empty input has the shorter form. The output and EOS follow it directly. */
export function renderAlpacaPrompt(record: { instruction: string; input?: string }): string {
  const { instruction, input } = record;
  return input
    ? `${PREAMBLE_WITH_INPUT}\n\n### Instruction:\n${instruction}\n\n### Input:\n${input}\n\n### Response:\n`
    : `${PREAMBLE}\n\n### Instruction:\n${instruction}\n\n### Response:\n`;
}

const alpacaChatSource = `
{{- bos_token -}}
{% if messages and messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}{% else %}${PREAMBLE}{% endif %}
{% for message in messages %}
{% if message['role'] == 'user' %}{{ '\\n\\n### Instruction:\\n' + message['content'] -}}
{% elif message['role'] == 'assistant' %}{{ '\\n\\n### Response:\\n' + message['content'] + eos_token -}}
{% elif not loop.first %}{{ raise_exception('a system message must come first') -}}
{% endif %}
{% endfor %}
{% if add_generation_prompt %}{{ '\\n\\n### Response:\\n' }}{% endif %}`;

/** A compiled chat template. Immutable; plans derived from it may be cached under it. */
export class ChatTemplate {
  readonly source: string;
  private readonly names: { bos_token: string; eos_token: string };
  private readonly template: Template;

  /** @throws FormatError when the source is not Jinja that heed can read */
  constructor(source: string, tokens: { bosToken?: string; eosToken?: string }) {
    this.source = source;
    this.names = { bos_token: tokens.bosToken ?? '', eos_token: tokens.eosToken ?? '' };
    try {
      this.template = new Template(source);
    } catch (error) {
      throw new FormatError(
        { where: 'chat template', expected: 'a Jinja template', found: firstLine(error) },
        { cause: error },
      );
    }
  }

  /** @throws UserError when the template refuses the conversation (such as a wrong order of roles) */
  render(messages: readonly Message[], options: { addGenerationPrompt: boolean }): string {
    const add_generation_prompt = options.addGenerationPrompt;
    try {
      return this.template.render({ messages, add_generation_prompt, ...this.names });
    } catch (error) {
      throw new UserError(
        { where: 'chat template', expected: 'a conversation that it can render', found: firstLine(error) },
        { cause: error },
      );
    }
  }
}

/**
 * The chat template that the tokenizer's folder brings, or else `defaultChatTemplate`.
 * @throws FormatError when it is not Jinja
 */
export function chatTemplateOf(tokenizer: PromptTokenizer): ChatTemplate {
  const source = tokenizer.chatTemplate;
  if (source === undefined) return defaultChatTemplate(tokenizer);
  const { bos, eos } = tokenizer.special;
  return new ChatTemplate(source, {
    bosToken: bos === undefined ? '' : tokenName(tokenizer, bos),
    eosToken: eos === undefined ? '' : tokenName(tokenizer, eos),
  });
}

/** The template of a model that brings none. */
export function defaultChatTemplate(tokenizer: PromptTokenizer): ChatTemplate {
  const [bos] = leadingTokens(tokenizer);
  return new ChatTemplate(alpacaChatSource, {
    bosToken: bos === undefined ? '' : tokenName(tokenizer, bos),
    eosToken: tokenName(tokenizer, requireEndToken(tokenizer)),
  });
}

/** A conversation as text, with the beginning of the next assistant turn when asked for. */
export function renderMessages(
  messages: readonly Message[],
  template: ChatTemplate,
  options: { addGenerationPrompt: boolean },
): string {
  return template.render(messages, options);
}

function firstLine(error: unknown): string {
  return String((error as Error).message)
    .split('\n', 1)[0]
    .slice(0, 200);
}
