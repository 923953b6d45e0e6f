// Tensors in a device's own memory, by the arrays whose values they are. They come and go through programs of one
// copying node: a tensor that is asked for its data directly ends the process.

import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { encodeModel } from '../onnx/model.ts';
import type { TensorData, Traffic } from './backend.ts';
import { onnxRuntime } from './onnx-runtime.ts';
import { createSession, type SessionPlan } from './onnx-sessions.ts';

interface Held {
  tensor: Tensor;
  holders: number;
  /** Whether a program has given it values that the array does not have. */
  isNewer: boolean;
}

/** All backends of a device see the same tensors. Those of an array that was collected go with it. */
const held = new WeakMap<TensorData, Held>();

type Movable = 'float32' | 'int32';

export class DeviceMemory {
  readonly traffic: Traffic = { toDevice: 0, fromDevice: 0 };
  private readonly plan: SessionPlan;

  constructor(plan: SessionPlan) {
    this.plan = plan;
  }

  async hold(arrays: readonly TensorData[]): Promise<void> {
    for (const array of arrays) {
      const entry = held.get(array);
      if (entry) entry.holders += 1;
      else held.set(array, { tensor: await this.send(array), holders: 1, isNewer: false });
    }
  }

  async upload(arrays: readonly TensorData[]): Promise<void> {
    for (const array of arrays) {
      const entry = held.get(array);
      if (!entry) continue;
      entry.tensor.dispose();
      entry.tensor = await this.send(array);
      entry.isNewer = false;
    }
  }

  async download(arrays: readonly TensorData[]): Promise<void> {
    for (const array of arrays) {
      const entry = held.get(array);
      if (!entry?.isNewer) continue;
      const type = typeOf(array);
      const session = await this.carrier(type, []);
      const { Tensor } = onnxRuntime();
      const flat = [array.length];
      await session.run({ x: view(entry.tensor, flat) }, { y: new Tensor(type, array as never, flat) });
      this.traffic.fromDevice += array.byteLength;
      entry.isNewer = false;
    }
  }

  drop(arrays: readonly TensorData[]): void {
    for (const array of arrays) {
      const entry = held.get(array);
      if (!entry) continue;
      entry.holders -= 1;
      if (entry.holders > 0) continue;
      held.delete(array);
      entry.tensor.dispose();
    }
  }

  isHeld(array: TensorData): boolean {
    return held.has(array);
  }

  /** The tensor that is held for an array, in this shape; nothing where none is. */
  tensorFor(array: TensorData, shape: readonly number[]): Tensor | undefined {
    const entry = held.get(array);
    return entry && view(entry.tensor, shape);
  }

  /** Makes a program's output the value of an array. */
  replace(array: TensorData, tensor: Tensor): void {
    const entry = held.get(array);
    entry?.tensor.dispose();
    held.set(array, { tensor, holders: entry?.holders ?? 1, isNewer: true });
  }

  private async send(array: TensorData): Promise<Tensor> {
    const type = typeOf(array);
    const session = await this.carrier(type, ['y']);
    const { Tensor } = onnxRuntime();
    const { y } = await session.run({ x: new Tensor(type, array as never, [array.length]) }, { y: null });
    this.traffic.toDevice += array.byteLength;
    return y;
  }

  /** Never released, as the adapter's session is not. */
  private carrier(type: Movable, resident: readonly string[]): Promise<InferenceSession> {
    const key = `${type} ${this.plan.device} ${resident}`;
    const carrier = carriers.get(key) ?? createSession(copying(type), { ...this.plan, resident });
    carriers.set(key, carrier);
    return carrier;
  }
}

const carriers = new Map<string, Promise<InferenceSession>>();

function copying(type: Movable): Uint8Array {
  const value = (name: string) =>
    ({ name, type: type === 'int32' ? type : 'float', shape: ['size'] }) as const;
  return encodeModel({
    nodes: [{ operator: 'Identity', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
    inputs: [value('x')],
    outputs: [value('y')],
    constants: [],
  });
}

function typeOf(array: TensorData): Movable {
  if (array instanceof Float32Array) return 'float32';
  if (array instanceof Int32Array) return 'int32';
  throw new Error('truth values cannot be held: the runtime has no kernel that copies them');
}

/** The same memory in another shape; not to be disposed of. */
function view({ gpuBuffer, type }: Tensor, shape: readonly number[]): Tensor {
  return onnxRuntime().Tensor.fromGpuBuffer(gpuBuffer, { dataType: type as Movable, dims: [...shape] });
}
