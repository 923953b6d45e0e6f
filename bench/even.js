// The reward of the GRPO benchmark, the peer's: the share of even ids among the 64 of a completion, whose text is
// ` w7 w12 …`.

export function even(completions) {
  return completions.map(({ completion }) => {
    const ids = completion.split(' ').filter((word) => /^w\d+$/.test(word));
    return ids.filter((word) => Number(word.slice(1)) % 2 === 0).length / 64;
  });
}
