// Files hold snake_case, TypeScript camelCase: the names of our own records are respelt where they are written and read.
// The list is closed, so that nothing else is touched: rows of data, metrics, options as people write them, stages.

const names = [
  // events.jsonl
  ...(['totalSteps', 'tokensPerSecond', 'gradientNorm', 'learningRate', 'tokenAccuracy'] as const),
  ...(['weightsBytes', 'optimizerBytes'] as const),
  // stage.json, pipeline.json and what --json prints: results of commands among them
  ...(['peakMemoryBytes', 'tokensGenerated', 'tokensTrained', 'trainedTokens'] as const),
  ...(['isReused', 'isComplete', 'klBound', 'reportJson'] as const),
  // samples of rejection sampling; the reference's log-probabilities; heed.json
  ...(['hasEos', 'logProbs', 'rewardStatistics'] as const),
  // state.json: the optimiser, PPO, its monitor
  ...(['skippedInARow', 'healthyStep', 'completionsPerPrompt', 'klBudget', 'betaFactor'] as const),
  ...(['completionEntropy', 'lastInsideStep', 'klHistory', 'quietLeft'] as const),
] as const;

type StoredName = (typeof names)[number];

/** Under it stand names that methods and users give. */
const openKey = 'metrics';

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const written: ReadonlyMap<string, string> = new Map(names.map((name) => [name, snakeCase(name)]));
const read: ReadonlyMap<string, string> = new Map(names.map((name) => [snakeCase(name), name]));

/** The keys with an upper-case letter in a record and in all that it holds. */
type CamelKeys<T> = T extends readonly (infer Item)[]
  ? CamelKeys<Item>
  : T extends object
    ? {
        [K in keyof T & string]-?:
          | (string extends K ? never : K extends Lowercase<K> ? never : K)
          | (K extends typeof openKey ? never : CamelKeys<T[K]>);
      }[keyof T & string]
    : never;

/** Does not compile for a record with a key that the list lacks. */
export type Listed<T> = [Exclude<CamelKeys<T>, StoredName>] extends [never] ? T : never;

/** A copy as it is written, every key of the list in snake_case. */
export function toStored<T>(value: T & Listed<T>): unknown {
  return respelt(value, written);
}

/** What `toStored` was given, from what it gave. */
export function fromStored(value: unknown): unknown {
  return respelt(value, read);
}

function respelt(value: unknown, spelling: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((item) => respelt(item, spelling));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      spelling.get(key) ?? key,
      key === openKey ? item : respelt(item, spelling),
    ]),
  );
}
