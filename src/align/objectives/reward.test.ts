import { describe, expect, it } from 'vitest';
import { total } from '../../engine/graph/build.ts';
import { interpret } from '../../engine/runtime/reference.ts';
import { bradleyTerryLoss, kWiseLoss, plackettLuceLoss } from './reward.ts';
import { centralDifferences, evaluate, inputsOf, precisions } from './testing/evaluate.ts';

describe('Bradley–Terry', () => {
  it('is ln 2 for equal scores, whatever they are', () => {
    const feeds = { chosen: [0, 7, -100], rejected: [0, 7, -100] };
    const found = interpret(bradleyTerryLoss(inputsOf(feeds)), feeds);
    for (const value of found.loss) expect(value).toBeCloseTo(Math.LN2, 14);
    expect([...found.accuracy]).toEqual([0, 0, 0]);
  });

  it('is the log of the odds that people choose the worse: scores ln 3 apart give ln 4/3', () => {
    const feeds = { chosen: [Math.log(3), 0], rejected: [0, Math.log(3)] };
    const found = interpret(bradleyTerryLoss(inputsOf(feeds)), feeds);
    expect(found.loss[0]).toBeCloseTo(Math.log(4 / 3), 14);
    expect(found.loss[1]).toBeCloseTo(Math.log(4), 14);
    expect([...found.accuracy]).toEqual([1, 0]);
  });

  it('charges a win by exactly the margin as much as a tie', () => {
    const feeds = { chosen: [3], rejected: [1], margin: [2] };
    expect(interpret(bradleyTerryLoss(inputsOf(feeds)), feeds).loss[0]).toBeCloseTo(Math.LN2, 14);
  });

  it('charges scores that are not centred around 0', () => {
    const feeds = { chosen: [5, 1], rejected: [5, -1] };
    const plain = interpret(bradleyTerryLoss(inputsOf(feeds)), feeds).loss;
    const centred = interpret(bradleyTerryLoss(inputsOf(feeds), { centering: 0.01 }), feeds).loss;
    expect(centred[0] - plain[0]).toBeCloseTo(1, 12);
    expect(centred[1] - plain[1]).toBeCloseTo(0, 12);
  });

  it.each(precisions)('stays finite for scores 2e4 apart in %s', async (precision) => {
    const feeds = { chosen: [1e4, -1e4], rejected: [-1e4, 1e4] };
    const pairs = inputsOf(feeds);
    const { loss } = bradleyTerryLoss(pairs, { centering: 0.01 });
    const found = await evaluate(precision, { loss }, feeds, { loss: total(loss), of: pairs });
    expect(found.loss[0]).toBeCloseTo(0, 6);
    expect(found.loss[1]).toBeCloseTo(2e4, 6);
    expect(found['d chosen'][1]).toBeCloseTo(-1, 6);
    expect(found['d rejected'][1]).toBeCloseTo(1, 6);
  });

  it('refuses scores of one column instead of broadcasting them', () => {
    const { chosen } = inputsOf({ chosen: [1, 2] }, [2, 1]);
    const { rejected } = inputsOf({ rejected: [1, 2] });
    expect(() => bradleyTerryLoss({ chosen, rejected })).toThrow('chosen: expected 1 axes, got float[2,1]');
    expect(() => bradleyTerryLoss({ chosen: rejected, rejected: chosen })).toThrow(
      'rejected: expected float[2], got float[2,1]',
    );
  });
});

describe('losses of rankings', () => {
  const feeds = { scores: [2, 0.5, -1, 1, 1, 1] };
  const { scores } = inputsOf(feeds, [2, 3]);

  it('K-wise of two answers is Bradley–Terry', () => {
    const pair = { scores: [0.3, -0.9], chosen: [0.3], rejected: [-0.9] };
    const found = interpret(
      {
        kWise: kWiseLoss(inputsOf({ scores: pair.scores }, [1, 2]).scores),
        pair: bradleyTerryLoss(inputsOf({ chosen: pair.chosen, rejected: pair.rejected })).loss,
      },
      pair,
    );
    expect(found.kWise[0]).toBeCloseTo(found.pair[0], 14);
  });

  it('K-wise is ln 2 for equal scores and averages over the pairs of each prompt', () => {
    const { loss } = interpret({ loss: kWiseLoss(scores) }, feeds);
    // ln(1+e^−1.5), ln(1+e^−3), ln(1+e^−1.5)
    expect(loss[0]).toBeCloseTo((0.2014132779827 + 0.0485873515737 + 0.2014132779827) / 3, 12);
    expect(loss[1]).toBeCloseTo(Math.LN2, 14);
  });

  it('Plackett–Luce is ln 3! for three equal scores', () => {
    expect(interpret({ loss: plackettLuceLoss(scores) }, feeds).loss[1]).toBeCloseTo(Math.log(6), 14);
  });

  it('Plackett–Luce probabilities of all orders add up to 1', () => {
    const orders = [
      [0.7, -0.2, 1.1],
      [0.7, 1.1, -0.2],
      [-0.2, 0.7, 1.1],
      [-0.2, 1.1, 0.7],
      [1.1, 0.7, -0.2],
      [1.1, -0.2, 0.7],
    ].flat();
    const { orders: rankings } = inputsOf({ orders }, [6, 3]);
    const { loss } = interpret({ loss: plackettLuceLoss(rankings) }, { orders });
    expect(loss.reduce((sum, x) => sum + Math.exp(-x), 0)).toBeCloseTo(1, 12);
  });

  it.each([
    ['K-wise', kWiseLoss],
    ['Plackett–Luce', plackettLuceLoss],
  ] as const)('%s has the gradient of its differences', async (_name, lossOf) => {
    const sum = total(lossOf(scores));
    const found = await evaluate('float64', { sum }, feeds, { loss: sum, of: { scores } });
    const expected = centralDifferences((x) => interpret({ sum }, { scores: x }).sum[0], feeds.scores);
    found['d scores'].forEach((slope, i) => {
      expect(slope).toBeCloseTo(expected[i], 8);
    });
  });

  it.each(precisions)('stay finite for scores 2e4 apart in %s', async (precision) => {
    const wide = { scores: [-1e4, 0, 1e4, 1e4, 0, -1e4] };
    const outputs = { kWise: kWiseLoss(scores), plackettLuce: plackettLuceLoss(scores) };
    const slopes = { loss: total(outputs.plackettLuce), of: { scores } };
    const found = await evaluate(precision, outputs, wide, slopes);
    expect(found.kWise[0]).toBeCloseTo(4e4 / 3, 2);
    expect(found.plackettLuce[0]).toBeCloseTo(3e4, 6);
    expect(found.plackettLuce[1]).toBeCloseTo(0, 6);
    expect(found['d scores'].every(Number.isFinite)).toBe(true);
  });

  it('refuse a ranking of one answer', () => {
    const { one } = inputsOf({ one: [1, 2] }, [2, 1]);
    expect(() => kWiseLoss(one)).toThrow('K ≥ 2');
    expect(() => plackettLuceLoss(one)).toThrow('K ≥ 2');
  });
});
