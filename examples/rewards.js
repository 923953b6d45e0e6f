// Rewards of one's own: a number for each completion, in their order. `row` is the row of the data that the prompt came from.
//   heed grpo … --reward examples/rewards.js#correct

/** 1 for the row's own output, 0 for anything else. */
export function correct(completions) {
  return completions.map(({ completion, row }) => Number(completion.trim() === row.output));
}
