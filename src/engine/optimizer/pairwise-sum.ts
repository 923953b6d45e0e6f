// Sums gradients of micro-batches in a fixed pairwise tree: ((0+1)+(2+3))+… The result depends on the order of the
// micro-batches alone, so that workers who each sum a subtree get the same bits. Holds log₂ n partial sums, in
// buffers that are used again.

type Term = readonly Float32Array[];

export class PairwiseSum {
  /** All that were allocated. */
  readonly buffers: Term[] = [];
  private readonly allocate: () => Term;
  private readonly addInto: (sum: Term, term: Term) => Promise<void>;
  private readonly free: Term[] = [];
  private readonly partial: { terms: number; values: Term }[] = [];

  /** @param allocate makes one set of arrays, as large as a term  @param addInto sum += term */
  constructor(allocate: () => Term, addInto: (sum: Term, term: Term) => Promise<void>) {
    this.allocate = allocate;
    this.addInto = addInto;
  }

  /** Arrays to write the next term into, to be given to `add`. */
  buffer(): Term {
    const free = this.free.pop();
    if (free) return free;
    const values = this.allocate();
    this.buffers.push(values);
    return values;
  }

  async add(values: Term): Promise<void> {
    this.partial.push({ terms: 1, values });
    while (this.partial.length > 1 && this.partial.at(-1)!.terms === this.partial.at(-2)!.terms) {
      await this.merge();
    }
  }

  /** The sum of all terms; valid until the next `buffer`. Starts anew afterwards. */
  async finish(): Promise<Term> {
    while (this.partial.length > 1) await this.merge();
    const { values } = this.partial.pop()!;
    this.free.push(values);
    return values;
  }

  private async merge(): Promise<void> {
    const right = this.partial.pop()!;
    const left = this.partial.at(-1)!;
    await this.addInto(left.values, right.values);
    left.terms += right.terms;
    this.free.push(right.values);
  }
}
