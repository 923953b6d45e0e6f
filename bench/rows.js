// Rows for heed's half when there is no peer to print them: lengths log-normal like Alpaca's, ids uniform.

const vocabularies = { nano: 4096, smol: 49152 };
/** As the peer's: smol has fewer rows, for it takes longer. */
const counts = {
  nano: { dense: 8, sft: 256, dpo: 128, generate: 64, grpo: 8 },
  smol: { dense: 2, sft: 48, dpo: 16, generate: 32, grpo: 2 },
};

function randomNumbers() {
  let state = 7;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** JSON lines of a task's rows. */
export function ownRows(task, model = 'nano') {
  const vocabulary = vocabularies[model];
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
  const prompt = (count) => () => ({ prompt_ids: ids(count) });
  const rows = {
    ...{ dense: prompt(256), sft: instruction, dpo: pair, generate: prompt(32), grpo: prompt(32) },
  };
  const kind = { lora: 'sft', dpo_lora: 'dpo', reward: 'dpo' }[task] ?? task;
  return Array.from({ length: counts[model][kind] }, rows[kind])
    .map((row) => `${JSON.stringify(row)}\n`)
    .join('');
}
