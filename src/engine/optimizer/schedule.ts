// Learning-rate schedules with warm-up, as multipliers of the peak rate; equal to those of Transformers.

export const scheduleKinds = ['constant', 'linear', 'cosine'] as const;
export type ScheduleKind = (typeof scheduleKinds)[number];

export interface Schedule {
  kind: ScheduleKind;
  warmupSteps: number;
  totalSteps: number;
}

/** The multiplier of the update that follows `step` finished ones: 0 at the first of a warm-up, 1 at the peak. */
export function scheduleMultiplier({ kind, warmupSteps, totalSteps }: Schedule, step: number): number {
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
  if (kind === 'constant') return 1;
  if (kind === 'linear') return 1 - progress;
  return 0.5 * (1 + Math.cos(Math.PI * progress));
}
