// The float64 reference as a backend: slow, and with a memory of its own, so that what is written for devices is tried
// without one.

import type { Outputs } from '../../graph/simplify.ts';
import { type Node, topologicalOrder } from '../../graph/tensor.ts';
import {
  allocate,
  type Backend,
  type Feeds,
  type Port,
  type Program,
  type TensorData,
  type Traffic,
} from '../backend.ts';
import { requireFit } from '../onnx-tensors.ts';
import { interpret } from '../reference.ts';
import { alone } from '../workers.ts';

interface Held {
  values: TensorData;
  holders: number;
}

export function referenceBackend(): Backend {
  const memory = new ReferenceMemory();
  const each = (change: (array: TensorData) => void) => async (arrays: readonly TensorData[]) => {
    for (const array of arrays) change(array);
  };
  return {
    ...{ device: 'webgpu', threads: 1, workers: alone, appendsInPlace: false, hasOwnMemory: true },
    compile: async (outputs, resident = []) => referenceProgram(outputs, new Set(resident), memory),
    hold: each((array) => memory.hold(array)),
    upload: each((array) => memory.upload(array)),
    download: each((array) => memory.download(array)),
    drop(arrays) {
      for (const array of arrays) memory.drop(array);
    },
    traffic: () => ({ ...memory.traffic }),
  };
}

class ReferenceMemory {
  readonly traffic: Traffic = { toDevice: 0, fromDevice: 0 };
  private readonly held = new Map<TensorData, Held>();

  /** What a program reads for an array. */
  read(array: TensorData): ArrayLike<number> {
    return this.held.get(array)?.values ?? this.send(array);
  }

  /** What a program has computed for an array. */
  write(array: TensorData, values: Float64Array, stays: boolean): void {
    const entry = this.held.get(array);
    if (!stays) {
      this.receive(array, values);
      this.upload(array);
      return;
    }
    const result = array.slice();
    result.set(values);
    this.held.set(array, { values: result, holders: entry?.holders ?? 1 });
  }

  hold(array: TensorData): void {
    const entry = this.held.get(array);
    if (entry) entry.holders += 1;
    else this.held.set(array, { values: this.send(array), holders: 1 });
  }

  upload(array: TensorData): void {
    const entry = this.held.get(array);
    if (entry) entry.values = this.send(array);
  }

  download(array: TensorData): void {
    const entry = this.held.get(array);
    if (entry) this.receive(array, entry.values);
  }

  drop(array: TensorData): void {
    const entry = this.held.get(array);
    if (entry && --entry.holders === 0) this.held.delete(array);
  }

  private send(array: TensorData): TensorData {
    this.traffic.toDevice += array.byteLength;
    return array.slice();
  }

  private receive(array: TensorData, values: ArrayLike<number>): void {
    this.traffic.fromDevice += array.byteLength;
    array.set(values);
  }
}

function referenceProgram(outputs: Outputs, resident: ReadonlySet<string>, memory: ReferenceMemory): Program {
  const ports = portsOf(outputs);
  let isReleased = false;
  return {
    ...ports,
    async run(feeds, into = {}) {
      if (isReleased) throw new Error('a program that was released is run');
      const fed = Object.fromEntries(ports.inputs.map((port) => [port.name, read(port, feeds, memory)]));
      const arrays = ports.outputs.map((port) => {
        if (!into[port.name] && resident.has(port.name)) throw new Error(`output ${port.name} has no array`);
        const array = into[port.name] ?? allocate(port);
        requireFit(port, array, 'output');
        return array;
      });
      const found = interpret(outputs, fed);
      for (const [i, { name }] of ports.outputs.entries()) {
        memory.write(arrays[i], found[name], resident.has(name));
      }
      return Object.fromEntries(ports.outputs.map(({ name }, i) => [name, arrays[i]]));
    },
    async release() {
      isReleased = true;
    },
  };
}

function read(port: Port, feeds: Feeds, memory: ReferenceMemory): ArrayLike<number> {
  const array = feeds[port.name];
  requireFit(port, array, 'input');
  return memory.read(array);
}

function portsOf(outputs: Outputs): { inputs: Port[]; outputs: Port[] } {
  const nodes = topologicalOrder(Object.values(outputs)).filter(({ kind }) => kind === 'input');
  const inputs = nodes.map((node) => (node as Node<'input'>).attributes);
  const shared = inputs.find(({ name }) => name in outputs);
  if (shared)
    throw new Error(`a program names both ${shared.name} and another input or output ${shared.name}`);
  return {
    inputs,
    outputs: Object.entries(outputs).map(([name, { shape, dtype }]) => ({ name, shape, dtype })),
  };
}
