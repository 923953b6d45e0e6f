// The contract between programs and the devices that run them. One conformance suite holds every backend to it:
// the float64 reference's values and gradients within float32's rounding, and the same bits at every run.

import type { Outputs } from '../graph/simplify.ts';
import type { DType, Shape } from '../graph/tensor.ts';
import type { Workers } from './workers.ts';

export type Device = 'cpu' | 'webgpu' | 'cuda';
/** float, int, bool (1 is true). */
export type TensorData = Float32Array | Int32Array | Uint8Array;
export type Feeds = Readonly<Record<string, TensorData>>;

export interface Backend {
  readonly device: Device;
  readonly threads: number;
  /** The processes that it computes with; one that shares nothing is `alone`. */
  readonly workers: Workers;
  /** Whether `appendAndAttend` leaves a cache where it lies when its outputs are given the arrays of its inputs. */
  readonly appendsInPlace: boolean;
  /** Whether the tensors that it holds lie in a memory of its own. Where not, an array is its tensor: holding is free. */
  readonly hasOwnMemory: boolean;
  /**
   * Compiles a graph; its shapes are fixed. Graphs that differ in sizes only share what is dear to make.
   * @param resident outputs that stay on the device: each becomes the value of the array that it is written to, which
   *   is held from then on
   */
  compile(outputs: Outputs, resident?: readonly string[]): Promise<Program>;
  /**
   * Holds a tensor for each array: programs that are fed this very array (a view of it is another) use the device's
   * copy. It is made from the array's values, or stays what it is where the array is held already; each hold wants its
   * own drop.
   */
  hold(arrays: readonly TensorData[]): Promise<void>;
  /** Arrays that are held: the device's copies get the arrays' values. For whoever wrote to the arrays. */
  upload(arrays: readonly TensorData[]): Promise<void>;
  /** Arrays that are held: they get the values of the device's copies. For whoever reads the arrays. */
  download(arrays: readonly TensorData[]): Promise<void>;
  /** Frees the copies of arrays that nobody holds any more; what was not downloaded is lost. */
  drop(arrays: readonly TensorData[]): void;
  /** Moved since the backend was opened. */
  traffic(): Traffic;
}

/** Bytes between this process's memory and the device's own. */
export interface Traffic {
  toDevice: number;
  fromDevice: number;
}

export interface Program {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /**
   * Runs once. Inputs are read where they lie; nothing is kept of them afterwards.
   * @param into arrays that outputs of these names are written to; the others come in fresh arrays, but one that stays
   *   on the device must have an array to be the value of
   * @throws ShapeError when an input is missing or has another length than its shape
   */
  run(feeds: Feeds, into?: Feeds): Promise<Record<string, TensorData>>;
  /** Gives its memory back; the program cannot run afterwards. */
  release(): Promise<void>;
}

/** Feeds in one object. To a spread object V8 adds names in memory that only a full collection frees: 10 kB a step. */
export function joined(...parts: Feeds[]): Feeds {
  return Object.assign({}, ...parts);
}

export interface Port {
  name: string;
  shape: Shape;
  dtype: DType;
}

export function allocate({ shape, dtype }: Port): TensorData {
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  if (dtype === 'float') return new Float32Array(size);
  return dtype === 'int' ? new Int32Array(size) : new Uint8Array(size);
}
