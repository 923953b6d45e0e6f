import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alone, gatheringWorkers, shareOf } from '../runtime/workers.ts';
import { hostArithmetic } from './gradient-arithmetic.ts';
import { PairwiseSum } from './pairwise-sum.ts';

/** Terms whose float32 sum depends on the order of additions. */
const termOf = (index: number): Float32Array =>
  Float32Array.from({ length: 5 }, (_, i) => Math.sin(1 + index * 5 + i) * 10 ** ((index + i) % 7));

async function summed(indices: readonly number[]): Promise<readonly Float32Array[]> {
  const sums = new PairwiseSum(() => [new Float32Array(5)], hostArithmetic.addInto);
  for (const index of indices) {
    const [buffer] = sums.buffer();
    buffer.set(termOf(index));
    await sums.add([buffer]);
  }
  return (await sums.finish()).map((values) => values.slice());
}

const indices = ([start, end]: readonly [number, number]) =>
  Array.from({ length: end - start }, (_, i) => start + i);

describe('the sum over workers', () => {
  it('has the bits of one process, however many workers there are', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 9 }),
        async (count, size) => {
          const shares = Array.from({ length: size }, (_, rank) => indices(shareOf(count, { rank, size })));
          expect(shares.flat()).toEqual(indices([0, count]));
          const own = await Promise.all(
            shares.map((share) => (share.length > 0 ? summed(share) : [new Float32Array(5)])),
          );
          const posted = shares.map((share, rank) => (share.length > 0 ? own[rank] : undefined));
          const gathered = async <T>() => posted.map((value) => value?.map((v) => v.slice())) as T[];
          for (let rank = 0; rank < size; rank++) {
            const workers = gatheringWorkers({ rank, size }, gathered);
            const arrays = own[rank].map((values) => values.slice());
            await workers.reduce(arrays, shares[rank].length > 0);
            expect(arrays).toEqual(await summed(indices([0, count])));
          }
        },
      ),
    );
  });

  it('leaves one process alone', async () => {
    const values = Float32Array.of(1, 2);
    await alone.reduce([values], true);
    expect([await alone.gather('x'), [...values]]).toEqual([['x'], [1, 2]]);
  });
});
