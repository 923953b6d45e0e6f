// A row of tokens, and what may become of a record on its way there.

export interface RowSource {
  file: string;
  line: number;
}

export interface TokenRow {
  /** [L] */
  ids: Int32Array;
  /** [L], 1 = the loss counts this token as a target. */
  isTrained: Uint8Array;
  source: RowSource;
}

export const dropReasons = {
  'empty-prompt': 'the prompt is empty',
  'empty-completion': 'a completion is empty or only white space',
  'prompt-too-long': 'the prompt alone fills the context',
  'sequence-too-long': 'prompt and completion together are longer than the context',
  'no-trained-token': 'no token would be trained',
  'unknown-token-id': "a token id is beyond the model's vocabulary",
  'template-refused': 'the chat template refuses the conversation',
  'template-mismatch': 'training would see another text than generation does',
  'chosen-equals-rejected': 'chosen and rejected, or two ranked answers, are the same',
  'too-few-answers': 'fewer than two answers are ranked',
} as const;
export type DropReason = keyof typeof dropReasons;

export interface Dropped {
  dropped: DropReason;
  detail?: string;
}

export function reasonOf({ dropped, detail }: Dropped): string {
  return detail ? `${dropReasons[dropped]}: ${detail}` : dropReasons[dropped];
}

export const notices = {
  'text-differs': "the record's own text is not what Alpaca's template gives",
  'split-border': 'the tokenizer would have joined the end of the prompt and the beginning of the completion',
  'control-token-text': 'the text holds the name of a control token, which is read as plain text',
  duplicate: 'the same tokens as an earlier row',
  contradiction: 'an earlier row says the opposite',
} as const;
export type Notice = keyof typeof notices;

export function isDropped(outcome: object): outcome is Dropped {
  return 'dropped' in outcome;
}
