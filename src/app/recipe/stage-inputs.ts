// Which texts of a stage's options name something that the stage reads: its contents are part of the stage's key, and
// its path is relative to the recipe.

/** `reward` is a path too, with a function's name and a weight after it, unless it is one of kata's. */
type TextKind = 'path' | 'reward' | 'words';

/** Every option of a stage that takes any text; a test finds those that are missing here. */
export const textKinds: Readonly<Record<string, TextKind>> = {
  model: 'path',
  valueModel: 'path',
  reference: 'path',
  tokenizer: 'path',
  data: 'path',
  evalData: 'path',
  sftAnswers: 'path',
  baseline: 'path',
  evals: 'path',
  reward: 'reward',
  watch: 'reward',
  ensemble: 'path',
  // Not read: the runner sets it.
  out: 'words',
  prompt: 'words',
  stop: 'words',
  text: 'words',
  specialTokens: 'words',
  bos: 'words',
  eos: 'words',
  pad: 'words',
};

export interface NamedInput {
  path: string;
  /** What follows the path, such as `#short*0.5`. */
  part: string;
}

/**
 * @param option its name in code
 * @returns undefined for a text that names nothing, or what an earlier stage makes
 */
export function inputNamedBy(option: string, text: string): NamedInput | undefined {
  const kind = textKinds[option];
  if (text.includes('${')) return undefined;
  if (kind === 'path') return { path: text, part: '' };
  if (kind !== 'reward' || text.startsWith('kata:')) return undefined;
  const part = /(?:(?<=\.[cm]?[jt]s)#\w+)?(?:\*[^*/]+)?$/.exec(text)![0];
  return { path: text.slice(0, text.length - part.length), part };
}
