// Bit patterns are those of IEEE 754-2019 binary16 and of bfloat16 as the upper half of binary32, worked out by hand.

import { describe, expect, test } from 'vitest';
import { bfloat16FromFloat32, float16FromFloat32, float32FromBfloat16, float32FromFloat16 } from './half.ts';

const bitsOf = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0];
const floatOf = (bits: number) => new Float32Array(Uint32Array.of(bits).buffer)[0];

describe('F16', () => {
  test.each([
    ['zero', 0, 0x0000],
    ['minus zero', -0, 0x8000],
    ['one', 1, 0x3c00],
    ['minus two', -2, 0xc000],
    ['a third, rounded down', 1 / 3, 0x3555],
    ['the largest', 65504, 0x7bff],
    ['just under the halfway point to 2¹⁶', 65519.996, 0x7bff],
    ['halfway to 2¹⁶, which goes to infinity', 65520, 0x7c00],
    ['far too large', 1e30, 0x7c00],
    ['infinity', Number.POSITIVE_INFINITY, 0x7c00],
    ['minus infinity', Number.NEGATIVE_INFINITY, 0xfc00],
    ['the smallest normal', 2 ** -14, 0x0400],
    ['the largest subnormal', 1023 * 2 ** -24, 0x03ff],
    ['halfway between the last subnormal and the first normal', 1023.5 * 2 ** -24, 0x0400],
    ['the smallest subnormal', 2 ** -24, 0x0001],
    ['half the smallest subnormal, a tie to zero', 2 ** -25, 0x0000],
    ['a little more than that', 2 ** -25 + 2 ** -40, 0x0001],
    ['one and a half smallest subnormals, a tie to two', 1.5 * 2 ** -24, 0x0002],
    ['two and a half, a tie to two', 2.5 * 2 ** -24, 0x0002],
    ['a float32 subnormal', 2 ** -140, 0x0000],
    ['1 + 2⁻¹¹, a tie to the even 1', 1 + 2 ** -11, 0x3c00],
    ['1 + 3·2⁻¹¹, a tie to the even 1 + 2⁻⁹', 1 + 3 * 2 ** -11, 0x3c02],
  ])('narrows %s', (_, value, half) => {
    expect(float16FromFloat32(bitsOf(value))).toBe(half);
  });

  test('keeps a NaN a NaN, even one whose fraction lies in the bits that fall away', () => {
    for (const bits of [0x7fc00000, 0x7f800001, 0xff800001]) {
      const half = float16FromFloat32(bits);
      expect(half & 0x7c00).toBe(0x7c00);
      expect(half & 0x03ff).not.toBe(0);
    }
  });

  test('widens every finite pattern to sign · significand · 2^exponent and narrows it back', () => {
    for (let half = 0; half < 0x10000; half++) {
      const exponent = (half >> 10) & 0x1f;
      if (exponent === 0x1f) continue;
      const significand = (half & 0x3ff) + (exponent > 0 ? 1024 : 0);
      const magnitude = significand * 2 ** (Math.max(exponent, 1) - 25);
      const widened = float32FromFloat16(half);
      if (floatOf(widened) !== (half >= 0x8000 ? -magnitude : magnitude))
        expect(half).toBe('widened rightly');
      if (float16FromFloat32(widened) !== half) expect(half).toBe('narrowed back');
    }
    expect(float32FromFloat16(0x8000)).toBe(0x80000000);
    expect(floatOf(float32FromFloat16(0x7c00))).toBe(Number.POSITIVE_INFINITY);
    expect(floatOf(float32FromFloat16(0x7e00))).toBeNaN();
  });
});

describe('BF16', () => {
  test.each([
    ['zero', 0x00000000, 0x0000],
    ['minus zero', 0x80000000, 0x8000],
    ['one', 0x3f800000, 0x3f80],
    ['π', 0x40490fdb, 0x4049],
    ['a tie to the even lower', 0x3f808000, 0x3f80],
    ['a tie to the even upper', 0x3f818000, 0x3f82],
    ['just above a tie', 0x3f808001, 0x3f81],
    ['a subnormal', 0x00018000, 0x0002],
    ['the largest float32, which goes to infinity', 0x7f7fffff, 0x7f80],
    ['infinity', 0x7f800000, 0x7f80],
    ['minus infinity', 0xff800000, 0xff80],
    ['a NaN whose fraction falls away', 0x7f800001, 0x7fc0],
  ])('narrows %s', (_, bits, half) => {
    expect(bfloat16FromFloat32(bits)).toBe(half);
  });

  test('widens by appending sixteen zero bits', () => {
    expect(float32FromBfloat16(0xc049)).toBe(0xc0490000);
    expect(float32FromBfloat16(0x0001)).toBe(0x00010000);
  });
});
