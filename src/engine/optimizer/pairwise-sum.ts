// Sums gradients of micro-batches in a fixed pairwise tree: ((0+1)+(2+3))+… The result depends on the order of the
// micro-batches alone, so that workers who each sum a subtree get the same bits. Holds log₂ n partial sums, in
// buffers that are used again.

export class PairwiseSum {
  private readonly allocate: () => readonly Float32Array[];
  private readonly free: (readonly Float32Array[])[] = [];
  private readonly partial: { terms: number; values: readonly Float32Array[] }[] = [];

  /** @param allocate makes one set of arrays, as large as a term */
  constructor(allocate: () => readonly Float32Array[]) {
    this.allocate = allocate;
  }

  /** Arrays to write the next term into, to be given to `add`. */
  buffer(): readonly Float32Array[] {
    return this.free.pop() ?? this.allocate();
  }

  add(values: readonly Float32Array[]): void {
    this.partial.push({ terms: 1, values });
    while (this.partial.length > 1 && this.partial.at(-1)!.terms === this.partial.at(-2)!.terms) this.merge();
  }

  /** The sum of all terms; valid until the next `buffer`. Starts anew afterwards. */
  finish(): readonly Float32Array[] {
    while (this.partial.length > 1) this.merge();
    const { values } = this.partial.pop()!;
    this.free.push(values);
    return values;
  }

  private merge(): void {
    const right = this.partial.pop()!;
    const left = this.partial.at(-1)!;
    left.values.forEach((sum, i) => {
      addInto(sum, right.values[i]);
    });
    left.terms += right.terms;
    this.free.push(right.values);
  }
}

function addInto(sum: Float32Array, term: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] += term[i];
}
