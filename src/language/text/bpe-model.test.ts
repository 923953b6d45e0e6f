import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BpeModel } from './bpe-model.ts';

const entries = ['a', 'b', 'c', 'ab', 'aa', 'ba', 'aab', 'abab', 'aaaa', 'cc', 'bc'];
const vocabulary = new Map(entries.map((entry, id) => [entry, id]));
const cuts = [...vocabulary.keys()].flatMap((entry) =>
  Array.from({ length: entry.length - 1 }, (_, i) => [entry.slice(0, i + 1), entry.slice(i + 1)] as const),
);
const possibleMerges = cuts.filter(([left, right]) => vocabulary.has(left) && vocabulary.has(right));
const withoutMerges = { ignoresMerges: false, fusesUnknown: false, merges: [] };

/** The definition, on strings: the first merge that applies anywhere, at its leftmost place, until none does. */
function mergeByDefinition(text: string, merges: readonly (readonly [string, string])[]): string[] {
  const parts = [...text];
  const applies = ([left, right]: readonly [string, string]) =>
    parts.findIndex((p, i) => p === left && parts[i + 1] === right);
  for (let merge = merges.find((m) => applies(m) >= 0); merge; merge = merges.find((m) => applies(m) >= 0)) {
    parts.splice(applies(merge), 2, merge.join(''));
  }
  return parts;
}

it('merges short and long pieces as the definition says', () => {
  const order = fc.shuffledSubarray(possibleMerges);
  const text = fc
    .array(fc.constantFrom('a', 'a', 'b', 'c'), { maxLength: 90 })
    .map((letters) => letters.join(''));
  fc.assert(
    fc.property(order, text, (merges, piece) => {
      const ids = (token: string) => vocabulary.get(token)!;
      const options = merges.map(([l, r]) => ({ left: ids(l), right: ids(r), merged: ids(l + r) }));
      const encoded = new BpeModel(vocabulary, { ...withoutMerges, merges: options }).encode(piece);
      const expected = mergeByDefinition(piece, merges);
      expect(encoded.ids.map((id) => entries[id])).toEqual(expected);
      expect(encoded.widths).toEqual(expected.map((part) => part.length));
    }),
    { numRuns: 300 },
  );
});

it('takes a piece that is an entry as a whole when merges are ignored', () => {
  expect(new BpeModel(vocabulary, { ...withoutMerges, ignoresMerges: true }).encode('abab').ids).toEqual([7]);
  expect(new BpeModel(vocabulary, withoutMerges).encode('abab').ids).toEqual([0, 1, 0, 1]);
});

it('drops bytes without an entry, or replaces them, one by one or together', () => {
  expect(new BpeModel(vocabulary, withoutMerges).encode('axxb').ids).toEqual([0, 1]);
  expect(new BpeModel(vocabulary, { ...withoutMerges, unknown: 2 }).encode('axxb').ids).toEqual([0, 2, 2, 1]);
  const fusing = new BpeModel(vocabulary, { ...withoutMerges, unknown: 2, fusesUnknown: true });
  expect(fusing.encode('axxb')).toEqual({ ids: [0, 2, 1], widths: [1, 2, 1] });
});
