// The processes that do one job together. Each computes a share of the micro-batches and of the rollouts; what they give
// is put together in an order that does not depend on how many they are, so that the result has the same bits.

/** All workers of a job call `gather` and `reduce` equally often, in the same order. */
export interface Workers {
  /** 0 … size − 1. What is written to the run's folder, rank 0 writes. */
  readonly rank: number;
  readonly size: number;
  /** Every worker's value, in the order of ranks. Values survive structured cloning. */
  gather<T>(value: T): Promise<T[]>;
  /**
   * Sums over workers, elementwise, in a fixed pairwise tree over ranks; the arrays are overwritten.
   * A worker without a share takes no part in the sum.
   */
  reduce(arrays: readonly Float32Array[], hasShare: boolean): Promise<void>;
}

/** One process. */
export const alone: Workers = {
  rank: 0,
  size: 1,
  gather: async (value) => [value],
  reduce: async () => {},
};

/**
 * The items that a worker computes, [start, end): blocks of a power of two, so that every block but the last is a whole
 * subtree of the pairwise sum over all items. Late workers may have none.
 */
export function shareOf(count: number, { rank, size }: Pick<Workers, 'rank' | 'size'>): [number, number] {
  const block = 2 ** Math.ceil(Math.log2(Math.max(1, Math.ceil(count / size))));
  return [Math.min(count, rank * block), Math.min(count, (rank + 1) * block)];
}

/** Workers that can only gather: they sum what they gather. */
export function gatheringWorkers(
  { rank, size }: Pick<Workers, 'rank' | 'size'>,
  gather: Workers['gather'],
): Workers {
  return {
    rank,
    size,
    gather,
    async reduce(arrays, hasShare) {
      const all = await gather(hasShare ? arrays.map((values) => values.slice()) : undefined);
      const shares = all.filter((share) => share !== undefined);
      const sum = pairwise(shares);
      arrays.forEach((values, i) => {
        values.set(sum[i]);
      });
    },
  };
}

/** ((0 + 1) + (2 + 3)) + …, into the first of each pair. */
function pairwise(shares: (readonly Float32Array[])[]): readonly Float32Array[] {
  if (shares.length === 1) return shares[0];
  const half = 2 ** Math.floor(Math.log2(shares.length - 1));
  const [left, right] = [pairwise(shares.slice(0, half)), pairwise(shares.slice(half))];
  left.forEach((sum, i) => {
    for (let j = 0; j < sum.length; j++) sum[j] += right[i][j];
  });
  return left;
}
