// Sessions of ONNX Runtime: how they are made, and shared by programs of one structure.

import { createHash } from 'node:crypto';
import type { InferenceSession } from 'onnxruntime-node';
import type { Device } from './backend.ts';
import { onnxRuntime } from './onnx-runtime.ts';

export interface SessionPlan {
  device: Device;
  threads: number;
  /** Outputs that are left in the device's memory. */
  resident?: readonly string[];
}

/** Sessions by the model that they run: programs that differ in sizes only share one, open as long as one has it. */
export class SharedSessions {
  private readonly open = new Map<string, { session: Promise<InferenceSession>; borrowers: number }>();

  async borrow(model: Uint8Array, plan: SessionPlan) {
    const key = createHash('sha256')
      .update(model)
      .update(JSON.stringify(plan.resident ?? []))
      .digest('hex');
    const entry = this.open.get(key) ?? { session: createSession(model, plan), borrowers: 0 };
    this.open.set(key, entry);
    entry.borrowers += 1;
    const giveBack = async () => {
      entry.borrowers -= 1;
      if (entry.borrowers > 0) return;
      this.open.delete(key);
      await (await entry.session).release();
    };
    try {
      return { session: await entry.session, giveBack };
    } catch (error) {
      if (this.open.get(key) === entry) this.open.delete(key);
      throw error;
    }
  }
}

/** Without this a node that WebGPU has no kernel for would run on the CPU and nobody would know. */
const webgpuEntries = { disable_cpu_ep_fallback: '1' };
/** Else a session's threads wait for its next run spinning, 10 to 30 ms, on cores that the next session needs. */
const otherEntries = { force_spinning_stop: '1' };

export async function createSession(
  model: Uint8Array,
  { device, threads, resident = [] }: SessionPlan,
): Promise<InferenceSession> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: [device],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'basic',
    // Sessions allocate from the process's one heap; see job.ts.
    enableCpuMemArena: false,
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: { session: device === 'webgpu' ? webgpuEntries : otherEntries },
  };
  if (resident.length > 0) {
    options.preferredOutputLocation = Object.fromEntries(resident.map((name) => [name, 'gpu-buffer']));
  }
  return await onnxRuntime().InferenceSession.create(model, options);
}
