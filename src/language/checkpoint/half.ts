// Half-precision numbers as bits: IEEE 754 binary16 (F16) and bfloat16 (BF16, the upper half of a float32).
// Narrowing rounds to nearest, ties to even; too large becomes infinity; a NaN stays a NaN.

/** The F16 bits nearest to the float32 with these bits. */
export function float16FromFloat32(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520, halfway between the largest F16 and the next power of two.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) return sign | subnormalFloat16(magnitude);
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** Below 2⁻¹⁴ the F16 bits count steps of 2⁻²⁴. */
function subnormalFloat16(magnitude: number): number {
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return 0;
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const steps = significand >>> shift;
  const rest = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (steps & 1) === 1) ? steps + 1 : steps;
}

/** The float32 bits of an F16, exactly. */
export function float32FromFloat16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (fraction << 13)) >>> 0;
  if (exponent > 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  if (fraction === 0) return sign >>> 0;
  const leading = Math.clz32(fraction) - 21;
  return (sign | ((113 - leading) << 23) | (((fraction << leading) & 0x3ff) << 13)) >>> 0;
}

/** The BF16 bits nearest to the float32 with these bits. */
export function bfloat16FromFloat32(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The float32 bits of a BF16, exactly. */
export function float32FromBfloat16(half: number): number {
  return (half << 16) >>> 0;
}
