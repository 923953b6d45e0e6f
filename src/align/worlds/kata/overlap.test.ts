import { describe, expect, it } from 'vitest';
import { measureOverlap } from './overlap.ts';
import { makeRequest } from './requests.ts';
import { nearestBySharedWords } from './retrieval.ts';

const kinds = { program: 1 };
const heldOut = Array.from({ length: 8 }, (_, i) =>
  makeRequest(1, i, { split: 'held-out', wording: 'seen', kinds }),
);
const training = Array.from({ length: 40 }, (_, i) =>
  makeRequest(1, i, { split: 'train', wording: 'seen', kinds }),
);
const programs = (requests: typeof training) =>
  requests.map((request) => ({ request, output: request.answer }));

describe('overlap', () => {
  it('is total when the held-out requests are demonstrated, whatever the names and constants', async () => {
    const renamed = programs(heldOut).map(({ request, output }) => ({
      request,
      output: output.replace(/\b(numbers|words|text|number)\b/g, 'other'),
    }));
    expect(await measureOverlap([...programs(training), ...renamed], heldOut)).toEqual({
      training_programs: 48,
      held_out_programs: 8,
      retrieval_passed: 8,
      retrieval_pass_rate: 1,
      equal_after_renaming: 8,
    });
  });

  it('is none where they are not, and tells of every request that is judged', async () => {
    let judged = 0;
    const overlap = await measureOverlap(programs(training), heldOut, () => judged++);
    expect([judged, overlap.equal_after_renaming]).toEqual([8, 0]);
  });
});

describe('the nearest prompt', () => {
  const nearest = nearestBySharedWords([
    'Sum the even numbers of a list',
    'Reverse the text',
    'Sum the odd numbers of a list',
    '짝수만 남기고 모두 더하세요',
  ]);

  it('shares the rarest words, in any script', () => {
    expect(nearest('please sum what is odd in a list')).toBe(2);
    expect(nearest('a text, reversed: reverse')).toBe(1);
    expect(nearest('모두 더하세요')).toBe(3);
  });

  it('is the first when nothing is shared', () => {
    expect(nearest('xylophone')).toBe(0);
  });
});
