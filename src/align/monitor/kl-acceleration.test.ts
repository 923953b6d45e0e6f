import { describe, expect, it } from 'vitest';
import { Random } from '../../engine/random.ts';
import { klAcceleration } from './kl-acceleration.ts';

const at = (k: (x: number) => number) => Array.from({ length: 8 }, (_, x) => k(x));

describe('the acceleration of the KL', () => {
  it('is the second derivative of a parabola', () => {
    const { value } = klAcceleration(
      at((x) => 3 + 0.5 * x + 0.35 * x * x),
      100,
    );
    expect(value).toBeCloseTo(0.7, 10);
  });

  it('is harmful from where the parabola passes the budget at the eighth observation ahead', () => {
    const k = (x: number) => 3 + 0.5 * x + 0.35 * x * x;
    const ahead = k(15);
    const just = klAcceleration(at(k), ahead - 0.01);
    expect(just.value).toBeGreaterThan(just.high);
    const within = klAcceleration(at(k), ahead + 0.01);
    expect(within.value).toBeLessThan(within.high);
  });

  it('is harmless on a straight line, even one that passes the budget', () => {
    const { value, high } = klAcceleration(
      at((x) => 5 * x),
      20,
    );
    expect(value).toBeLessThan(high);
  });

  it('takes noise about a constant near the budget for chance in 99 of 100 cases', () => {
    const random = new Random(3, 'testing');
    let outside = 0;
    for (let n = 0; n < 2000; n++) {
      const { value, high } = klAcceleration(
        at((x) => 19 + random.normal(n, x)),
        20,
      );
      if (value > high) outside++;
    }
    expect(outside).toBeLessThanOrEqual(20);
  });

  it('refuses another number of observations', () => {
    expect(() => klAcceleration([1, 2], 10)).toThrow('expected 8 values, got 2');
  });
});
