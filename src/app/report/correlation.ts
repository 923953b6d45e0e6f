// How two figures of the same answers go together.

/** Pearson's correlation; undefined where either does not vary. */
export function correlation(pairs: readonly (readonly [number, number])[]): number | undefined {
  const n = pairs.length;
  const [meanX, meanY] = [0, 1].map((i) => pairs.reduce((sum, pair) => sum + pair[i], 0) / n);
  let [xx, xy, yy] = [0, 0, 0];
  for (const [x, y] of pairs) {
    xx += (x - meanX) ** 2;
    xy += (x - meanX) * (y - meanY);
    yy += (y - meanY) ** 2;
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : undefined;
}
