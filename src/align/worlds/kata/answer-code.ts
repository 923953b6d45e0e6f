// The code within an answer: what stands in the first ``` fence, or else the whole answer.

/** An unclosed fence reaches to the end of the answer. */
export function codeOf(answer: string): string {
  const fence = /```[ \t]*(?:javascript|js)?[ \t]*\r?\n([\s\S]*?)(?:```|$)/i.exec(answer);
  return fence ? fence[1] : answer;
}
