// The requests of an evaluation: each prompt with the row that it came from, so that a world can judge the answer.

import { UserError } from '../../engine/errors.ts';
import { type PromptOptions, readPrompts, tokenizePlainPrompt } from '../data/prompts.ts';
import type { RowFault } from '../data/read.ts';
import type { RowSource } from '../data/token-row.ts';

export interface EvaluationRequest {
  /** Place among the JSON rows of all files, those quarantined included, so that it is the same for every model. */
  index: number;
  ids: number[];
  /** As it was given, without template. */
  prompt: string;
  row: Readonly<Record<string, unknown>>;
  source: RowSource;
}

export interface RequestOptions extends PromptOptions {
  /** Puts every request as a plain text to go on from, whatever its template would be. */
  isContinued: boolean;
  strict: boolean;
  onFault: (fault: RowFault) => void;
}

/** @throws UserError when no row is left; FormatError at the first faulty row when strict */
export async function readRequests(
  files: readonly string[],
  options: RequestOptions,
): Promise<EvaluationRequest[]> {
  const requests: EvaluationRequest[] = [];
  let rows = 0;
  const onRow = () => {
    rows += 1;
  };
  for (const file of files) {
    for await (const { ids, text, source, row } of readPrompts(file, { ...options, onRow })) {
      const prompt = text ?? options.tokenizer().decode(ids);
      requests.push({
        index: rows - 1,
        ids: options.isContinued ? tokenizePlainPrompt(prompt, 'none', options.tokenizer()) : ids,
        prompt,
        row: row!,
        source: source!,
      });
    }
  }
  if (requests.length > 0) return requests;
  throw new UserError({
    where: `--data ${files.join(' ')}`,
    expected: 'at least one row with a prompt',
    found: 'none',
  });
}
