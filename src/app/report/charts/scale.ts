// From values to places on an axis, with round ticks.

export interface Scale {
  ticks: number[];
  low: number;
  high: number;
  /** Pixels. */
  place(value: number): number;
  label(tick: number): string;
}

export interface ScaleOptions {
  /** Pixels where the axis begins and ends. */
  from: number;
  to: number;
  /** About how many steps; default 4. */
  steps?: number;
  label?: (tick: number) => string;
}

/** A little beyond the values on both sides, in steps of 1, 2 or 5 times a power of ten. */
export function linearScale(values: readonly number[], { from, to, steps = 4, label }: ScaleOptions): Scale {
  const [least, most] = extent(values);
  const step = roundStep((most - least) / steps);
  const [low, high] = [Math.floor(least / step + 1e-9) * step, Math.ceil(most / step - 1e-9) * step];
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => tidy(low + i * step));
  return {
    ticks,
    low,
    high,
    place: (value) => from + ((to - from) * (value - low)) / (high - low),
    label: label ?? ((tick) => tickLabel(tick, step)),
  };
}

/** From 0, spaced by the square root, for KL: distances on it are d = √KL. */
export function rootScale(values: readonly number[], { from, to }: ScaleOptions): Scale {
  const most = Math.max(1, ...values.filter(Number.isFinite));
  const roots = linearScale([0, Math.sqrt(most)], { from, to });
  return {
    ticks: roots.ticks.map((root) => tidy(root * root)),
    low: 0,
    high: roots.high ** 2,
    place: (value) => roots.place(Math.sqrt(Math.max(0, value))),
    label: (tick) => tickLabel(tick, 1),
  };
}

function extent(values: readonly number[]): [number, number] {
  const finite = values.filter(Number.isFinite);
  if (finite.length === 0) return [0, 1];
  let [least, most] = [finite[0], finite[0]];
  for (const value of finite) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (most > least) return [least, most];
  const margin = Math.max(1e-3, Math.abs(least) * 0.1);
  return [least - margin, most + margin];
}

function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough * (1 - 1e-9))!;
}

function tidy(value: number): number {
  return Number(value.toPrecision(12));
}

function tickLabel(tick: number, step: number): string {
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  if (Math.abs(tick) >= 10_000) return `${tidy(tick / 1000)}k`;
  return (digits === 0 ? String(tidy(tick)) : tick.toFixed(Math.min(digits, 6))).replace('-', '\u2212');
}
