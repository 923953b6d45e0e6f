// What a run says while it works. Methods emit; the run folder, the terminal and the studio subscribe.
// Everything that belongs to a step is emitted before that step's checkpoint, and the checkpoint event
// before the checkpoint is committed: so a committed checkpoint implies that its events are on disk.

import type { Device } from '../../engine/runtime/backend.ts';
import type { RoleMemory } from './role-memory.ts';

/** One update of the weights. Rates and losses are of this update alone; `tokens` counts from the run's start. */
export interface StepEvent {
  type: 'step';
  step: number;
  /** Passes over the data so far, fractional. */
  epoch: number;
  /** Mean negative log-likelihood, nats per trained token (or the method's own loss). */
  loss: number;
  tokens: number;
  tokensPerSecond: number;
  /** Global L2 norm before clipping. */
  gradientNorm: number;
  learningRate: number;
  /** Share of trained tokens that the model ranks first, 0 … 1. */
  tokenAccuracy?: number;
  /** Mean entropy of the next-token distribution, nats. */
  entropy?: number;
  /** The method's own measures, by the field's names, such as `objective/kl`. */
  metrics?: Record<string, number>;
}

/** What the monitor saw; a bound is absent where nothing is too low or too high. */
export interface AlarmEvent {
  type: 'alarm';
  step: number;
  signals: { name: string; value: number; low?: number; high?: number }[];
  message: string;
}

/** An answer as the method learnt from it. */
export interface Episode {
  /** Prompt and answer, EOS included. */
  ids: number[];
  /** KL to the reference that is charged for each action, nats; the actions are the last of `ids`. */
  kl: number[];
  /** What the reward gave for it. */
  score: number;
}

export type RunEvent =
  | {
      type: 'started';
      step: number;
      command: string;
      totalSteps: number;
      device: Device;
      memory?: readonly RoleMemory[];
    }
  /** Told to subscribers only: the folder does not keep it, so that a resumed log equals an uninterrupted one. */
  | { type: 'resumed'; step: number; totalSteps: number; device: Device }
  | StepEvent
  /** Measured on held-out data. */
  | { type: 'evaluation'; step: number; loss: number; perplexity: number; tokenAccuracy?: number }
  | { type: 'sample'; step: number; prompt: string; completion: string; episode?: Episode }
  | { type: 'warning'; step: number; message: string }
  | AlarmEvent
  /** The method ended the run before its last step; what it had measured then. */
  | { type: 'stopped'; step: number; reason: string; metrics: Record<string, number> }
  /** Records or updates skipped, and why. */
  | { type: 'skipped'; step: number; what: 'record' | 'update'; count: number; reason: string }
  | { type: 'checkpoint'; step: number; path: string }
  | { type: 'finished'; step: number; tokens: number; seconds: number; outcome: 'done' | 'interrupted' };

export type RunListener = (event: RunEvent) => void;

/** Listeners are called in the order of subscription, at once, on the emitter's own stack. */
export class RunEvents {
  private readonly listeners = new Set<RunListener>();

  /** @returns a function that ends the subscription */
  subscribe(listener: RunListener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  emit(event: RunEvent): void {
    for (const listener of this.listeners) listener(event);
  }
}
