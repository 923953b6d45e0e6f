import { isDeepStrictEqual as isEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type Composition, evaluate } from './composition.ts';
import { Dice } from './dice.ts';
import { judgeInProcess } from './judge-core.ts';
import { apply, type Value } from './meaning.ts';
import { families } from './operation.ts';
import { operationNames, operations } from './operations.ts';
import { statement } from './phrasings.ts';
import { drawTrainingComposition, makeProblem, type Problem, problemById } from './problem.ts';
import { makeRequest } from './requests.ts';
import { nearestBySharedWords } from './retrieval.ts';
import { skeleton } from './skeleton.ts';
import { solution, styles } from './solutions.ts';

const training = Array.from({ length: 5000 }, (_, i) => makeProblem(1, i, 'train'));
const heldOut = Array.from({ length: 400 }, (_, i) => makeProblem(1, i, 'held-out'));
const some = [...training.slice(0, 300), ...heldOut.slice(0, 200)];

async function passes(answer: string, { tests }: Problem): Promise<boolean> {
  return (await judgeInProcess({ answer, tests })).passed;
}

/** Nothing where the steps do not fit each other or the input. */
function attempt(composition: Composition, input: Value[]): Value | undefined {
  try {
    return evaluate(composition, input);
  } catch {
    return undefined;
  }
}

describe('problems', () => {
  it('are the same for the same seed and index, and come back by id', () => {
    for (const problem of some.slice(0, 20)) {
      expect(problemById(problem.id)).toEqual(problem);
    }
  });

  it('are many, of all families, and of more than 1,500 compositions', () => {
    expect(new Set(training.map(({ family }) => family))).toEqual(new Set(families));
    expect(new Set(training.map(({ key }) => key)).size).toBeGreaterThan(1500);
    const tasks = training.map(({ composition }) => JSON.stringify(composition));
    expect(new Set(tasks).size).toBeGreaterThan(3500);
  });

  it('use every operation', () => {
    const used = new Set(
      training.flatMap(({ composition }) => composition.steps.map((step) => step.operation)),
    );
    expect(operationNames.filter((name) => !used.has(name))).toEqual([]);
  });

  it.each(styles)('are solved by the %s style', async (style) => {
    for (const [i, problem] of some.entries()) {
      const answer = solution(problem.composition, style, new Dice(7, 'solutions', i));
      expect(await passes(answer, problem), `${problem.id}\n${answer}`).toBe(true);
    }
  });

  it('are passed by no function that returns a constant or its input', async () => {
    for (const problem of some) {
      const constants = new Set(problem.tests.map(({ expected }) => JSON.stringify(expected)));
      for (const value of ['0', '[]', "''", 'true', 'false', 'undefined', ...constants]) {
        const isRight = problem.tests.every(({ expected }) => JSON.stringify(expected) === value);
        expect(isRight, `${problem.id} by ${value}`).toBe(false);
      }
    }
    for (const problem of some.slice(0, 60)) {
      expect(await passes('function solve(a) { return a; }', problem)).toBe(false);
      expect(await passes('function solve() { return 0; }', problem)).toBe(false);
    }
  });

  it('share no solution between the parts after renaming names and literals, in any style', () => {
    const seen = new Set<string>();
    training.forEach(({ composition }, i) => {
      for (const style of styles)
        seen.add(skeleton(solution(composition, style, new Dice(1, 'solutions', i))));
    });
    const shared = heldOut.flatMap(({ id, composition }, i) =>
      styles
        .map((style) => ({
          style,
          id,
          text: skeleton(solution(composition, style, new Dice(2, 'solutions', i))),
        }))
        .filter(({ text }) => seen.has(text)),
    );
    expect(shared).toEqual([]);
  });

  it('are held out only when no training text tells them: not one step, nor its steps in another order', () => {
    const chained = (composition: Composition) =>
      skeleton(solution(composition, 'chained', new Dice(1, 'testing', 0)));
    const told = new Set(
      Array.from({ length: 5000 }, (_, i) => chained(drawTrainingComposition(new Dice(2, 'corpora', i)))),
    );
    for (const { id, composition, tests } of heldOut) {
      const { steps } = composition;
      expect(steps.length, id).toBeGreaterThan(1);
      const others = steps.slice(1).map((next, i) => steps.toSpliced(i, 2, next, steps[i]));
      for (const other of others.map((own) => ({ ...composition, steps: own }))) {
        if (tests.every(({ input, expected }) => isEqual(attempt(other, input), expected))) {
          expect(told.has(chained(other)), id).toBe(false);
        }
      }
    }
  });

  it('cannot be solved by the answer of the nearest training prompt', async () => {
    const ask = (problem: Problem, seed: number, i: number) =>
      statement(problem.composition, new Dice(seed, 'phrasings', i), {
        language: 'english',
        wording: 'seen',
      });
    const nearest = nearestBySharedWords(training.map((problem, i) => ask(problem, 1, i)));
    let passed = 0;
    for (const [i, problem] of heldOut.entries()) {
      const neighbour = training[nearest(ask(problem, 2, i))];
      const answer = solution(neighbour.composition, 'plain', new Dice(1, 'solutions', 0));
      if (await passes(answer, problem)) passed++;
    }
    console.info(`retrieval baseline: ${passed} of ${heldOut.length} held-out problems`);
    expect(passed / heldOut.length).toBeLessThanOrEqual(0.15);
  });
});

describe('operations', () => {
  it('mean what their words say', () => {
    expect(apply('keepOdd', [-3, 2, 5], 0)).toEqual([-3, 5]);
    expect(apply('takeLast', [1, 2, 3], 2)).toEqual([2, 3]);
    expect(apply('differences', [1, 4, 2], 0)).toEqual([3, -2]);
    expect(apply('runningSums', [1, 4, 2], 0)).toEqual([1, 5, 7]);
    expect(apply('largest', [], 0)).toBe(0);
    expect(apply('remainderEach', [-7, 7], 3)).toEqual([-1, 1]);
    expect(apply('runLengths', 'aab', 0)).toBe('a2b1');
    expect(apply('fibonacci', 10, 0)).toBe(55);
    expect(apply('collatzSteps', 6, 0)).toBe(8);
    expect(apply('greatestCommonDivisor', 12, 18)).toBe(6);
    expect(apply('isPrime', 17, 0)).toBe(true);
    expect(apply('reverseDigits', 120, 0)).toBe(21);
    expect(apply('divideDown', -7, 2)).toBe(-4);
  });

  it('follow each other', () => {
    const steps = [
      { operation: 'keepEven' },
      { operation: 'multiplyEach', parameter: 'argument' },
      { operation: 'sum' },
    ] as const;
    expect(evaluate({ source: 'numbers', steps }, [[1, 2, 4], 3])).toBe(18);
  });

  it('have results and phrases of their own', () => {
    const phrases = operationNames.map((name) => operations[name].heldOutEnglish);
    const seen = new Set(operationNames.flatMap((name) => operations[name].english));
    expect(phrases.filter((phrase) => seen.has(phrase))).toEqual([]);
    const results = operationNames.map((name) => operations[name].result);
    expect(results.filter((result, i) => results.indexOf(result) !== i)).toEqual([]);
  });
});

describe('skeletons', () => {
  it('forget names and literals and nothing else', () => {
    const one = skeleton("const solve = (list) => list.map((n) => n + 3).join('-'); // fine");
    expect(skeleton('const other=(a)=>a.map((b)=>b+12).join(",");')).toBe(one);
    expect(skeleton('const other=(a)=>a.map((b)=>b-12).join(",");')).not.toBe(one);
    expect(skeleton('const other=(a)=>a.filter((b)=>b+12).join(",");')).not.toBe(one);
  });
});

describe('requests', () => {
  it('have answers that pass where they are programs, and about a fifth in Korean', async () => {
    const requests = Array.from({ length: 200 }, (_, i) =>
      makeRequest(3, i, { split: 'train', wording: 'seen' }),
    );
    for (const { answer, problem } of requests.slice(0, 60)) {
      if (problem) expect(await passes(answer, problem)).toBe(true);
    }
    const korean = requests.filter(({ instruction }) => /\p{Script=Hangul}/u.test(instruction)).length;
    expect(korean / requests.length).toBeGreaterThan(0.1);
    expect(korean / requests.length).toBeLessThan(0.3);
    expect(requests.some(({ input }) => input)).toBe(true);
  });

  it('in held-out wording never occur in training', () => {
    const make = (split: 'train' | 'held-out', wording: 'seen' | 'held-out') =>
      Array.from(
        { length: 300 },
        (_, i) => makeRequest(5, i, { split, wording, kinds: { program: 1 } }).instruction,
      );
    const seen = new Set(make('train', 'seen'));
    expect(make('held-out', 'held-out').filter((instruction) => seen.has(instruction))).toEqual([]);
  });
});
