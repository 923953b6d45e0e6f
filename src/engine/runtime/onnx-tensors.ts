// Arrays as tensors of ONNX Runtime, which point to them.

import type { Tensor } from 'onnxruntime-node';
import { ShapeError } from '../errors.ts';
import { type EmittedArray, onnxTypes } from '../graph/emission.ts';
import { describeType, sizeOf } from '../graph/tensor.ts';
import type { Port, TensorData } from './backend.ts';
import { onnxRuntime } from './onnx-runtime.ts';

export const elements = {
  float: { type: 'float32', array: Float32Array },
  int32: { type: 'int32', array: Int32Array },
  int64: { type: 'int64', array: BigInt64Array },
  bool: { type: 'bool', array: Uint8Array },
} as const satisfies { [T in EmittedArray['type']]: unknown };

/** @throws ShapeError unless the array is the port's */
export function requireFit(
  port: Port,
  data: TensorData | undefined,
  role: 'input' | 'output',
): asserts data is TensorData {
  const { array } = elements[onnxTypes[port.dtype]];
  if (data instanceof array && data.length === sizeOf(port.shape)) return;
  throw new ShapeError({
    where: `${role} ${port.name}`,
    expected: `${describeType(port)} in a ${array.name}`,
    found: data ? `${data.length} elements in a ${data.constructor.name}` : 'nothing',
  });
}

export function tensorOf({ shape, dtype }: Pick<Port, 'shape' | 'dtype'>, data: TensorData): Tensor {
  const { Tensor } = onnxRuntime();
  return new Tensor(elements[onnxTypes[dtype]].type, data as never, shape);
}

/** What a graph is given with every run, by name. */
export function tensorsOf(given: readonly EmittedArray[]): Record<string, Tensor> {
  const { Tensor } = onnxRuntime();
  return Object.fromEntries(
    given.map(({ name, type: emitted, shape, data }) => {
      const { type, array } = elements[emitted];
      return [name, new Tensor(type, new array(data.buffer as ArrayBuffer) as never, shape)];
    }),
  );
}
