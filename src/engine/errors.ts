// The two kinds of failure: a UserError is the user's mistake or a fault of their files (one message, exit 1);
// anything else that is thrown is a bug in heed (stack trace, exit 2).

export interface Mistake {
  /** What was being read or asked: a file (with line), a flag, a key, a tensor. */
  where: string;
  expected: string;
  found: string;
  /** One thing that the user can do about it. */
  advice?: string;
}

/** Reads `where: expected X, got Y. Try Z.` */
export class UserError extends Error {
  override readonly name: string = 'UserError';
  readonly mistake: Mistake;

  constructor(mistake: Mistake, options?: ErrorOptions) {
    const advice = mistake.advice ? ` Try ${mistake.advice}.` : '';
    super(`${mistake.where}: expected ${mistake.expected}, got ${mistake.found}.${advice}`, options);
    this.mistake = mistake;
  }
}

/** A file that is not what its name says: truncated, malformed, or more than heed can read. */
export class FormatError extends UserError {
  override readonly name = 'FormatError';
}

/** Tensors whose shapes or types do not fit each other. */
export class ShapeError extends UserError {
  override readonly name = 'ShapeError';
}

/** The known word nearest to `word`, when it is near enough to be a slip of the pen. */
export function nearestWord(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word, candidate);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
