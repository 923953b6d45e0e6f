// Rows for heed's half when there is no peer to print them: lengths log-normal like Alpaca's, ids uniform.

const vocabulary = 4096;

function randomNumbers() {
  let state = 7;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** JSON lines of a task's rows. */
export function ownRows(task) {
  const random = randomNumbers();
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const ids = (count) => Array.from({ length: count }, () => 3 + Math.floor(random() * (vocabulary - 3)));
  const length = (middle, spread, low, high) =>
    Math.max(low, Math.min(high, Math.round(middle * Math.exp(spread * normal()))));
  const instruction = () => {
    const prompt = length(30, 0.6, 8, 120);
    const completion = length(60, 0.8, 4, 256 - prompt);
    return { prompt_ids: ids(prompt), completion_ids: [...ids(completion - 1), 2] };
  };
  const pair = () => {
    const { prompt_ids, completion_ids: chosen_ids } = instruction();
    return { prompt_ids, chosen_ids, rejected_ids: instruction().completion_ids };
  };
  const rows = {
    dense: () => Array.from({ length: 8 }, () => ({ prompt_ids: ids(256) })),
    sft: () => Array.from({ length: 256 }, instruction),
    lora: () => Array.from({ length: 256 }, instruction),
    dpo: () => Array.from({ length: 128 }, pair),
    dpo_lora: () => Array.from({ length: 128 }, pair),
    grpo: () => Array.from({ length: 8 }, () => ({ prompt_ids: ids(32) })),
    reward: () => Array.from({ length: 128 }, pair),
    generate: () => Array.from({ length: 64 }, () => ({ prompt_ids: ids(32) })),
  };
  return rows[task]()
    .map((row) => `${JSON.stringify(row)}\n`)
    .join('');
}
