// The baseline of a model that only remembers: answer a prompt with what answered the most similar known prompt.

/**
 * Finds, for a query, the index of the prompt with the highest cosine of TF-IDF vectors over words and pairs of words;
 * the first of equals.
 */
export function nearestBySharedWords(prompts: readonly string[]): (query: string) => number {
  const documents = prompts.map(termsOf);
  const postings = new Map<string, number[]>();
  documents.forEach((terms, i) => {
    for (const term of terms) {
      const found = postings.get(term);
      if (found) found.push(i);
      else postings.set(term, [i]);
    }
  });
  const weight = (term: string) =>
    Math.log(prompts.length / (postings.get(term)?.length ?? prompts.length)) ** 2;
  const norms = documents.map((terms) => Math.sqrt([...terms].reduce((sum, term) => sum + weight(term), 0)));
  return (query) => {
    const scores = new Float64Array(prompts.length);
    for (const term of termsOf(query)) {
      for (const i of postings.get(term) ?? []) scores[i] += weight(term) / norms[i];
    }
    return scores.reduce((best, score, i) => (score > scores[best] ? i : best), 0);
  };
}

function termsOf(text: string): Set<string> {
  const words = text.toLowerCase().match(/[\p{L}]+|\d+|'[^']*'/gu) ?? [];
  return new Set([...words, ...words.slice(1).map((word, i) => `${words[i]} ${word}`)]);
}
