// Written models are read back by ONNX Runtime, which parses, checks and runs them.

import { createRequire } from 'node:module';
import type { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { encodeModel, type OnnxGraph, type OnnxType } from './model.ts';

const runtime = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');

const constantData: { type: OnnxType; data: ArrayBufferView; expected: ArrayLike<number | bigint> }[] = [
  { type: 'float', data: Float32Array.of(1.5, -2), expected: [1.5, -2] },
  { type: 'double', data: Float64Array.of(0.1, 1e300), expected: [0.1, 1e300] },
  { type: 'int32', data: Int32Array.of(-7, 2 ** 31 - 1), expected: [-7, 2 ** 31 - 1] },
  { type: 'int64', data: BigInt64Array.of(-1n, 2n ** 62n), expected: [-1n, 2n ** 62n] },
  { type: 'bool', data: Uint8Array.of(1, 0), expected: [1, 0] },
  { type: 'uint8', data: Uint8Array.of(255, 3), expected: [255, 3] },
];

const bytesOf = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

async function runModel(graph: OnnxGraph, feeds: InferenceSession.FeedsType = {}) {
  const session = await runtime.InferenceSession.create(encodeModel(graph));
  const { inputMetadata, outputMetadata } = session;
  const results = await session.run(feeds);
  await session.release();
  return { results, inputMetadata, outputMetadata };
}

describe('encodeModel', () => {
  it.each(constantData)('writes $type constants that the runtime reads', async ({ type, data, expected }) => {
    const { results } = await runModel({
      nodes: [{ operator: 'Identity', domain: '', inputs: ['c'], outputs: ['y'], attributes: {} }],
      inputs: [],
      outputs: [{ name: 'y', type, shape: [2] }],
      constants: [{ name: 'c', type, shape: [2], data: bytesOf(data) }],
    });
    expect(Array.from(results.y.data as ArrayLike<number | bigint>)).toEqual(Array.from(expected));
  });

  it('writes every kind of attribute, absent outputs and both operator sets', async () => {
    const float = (name: string, ...shape: number[]) => ({ name, type: 'float' as const, shape });
    const { results, inputMetadata, outputMetadata } = await runModel(
      {
        nodes: [
          {
            operator: 'FusedMatMul',
            domain: 'com.microsoft',
            inputs: ['a', 'a'],
            outputs: ['product'],
            attributes: { transB: { kind: 'int', value: 1 }, alpha: { kind: 'float', value: 0.5 } },
          },
          {
            operator: 'Transpose',
            domain: '',
            inputs: ['a'],
            outputs: ['turned'],
            attributes: { perm: { kind: 'ints', value: [1, 0] } },
          },
          {
            operator: 'ScatterElements',
            domain: '',
            inputs: ['product', 'at', 'ones'],
            outputs: ['scattered'],
            attributes: { axis: { kind: 'int', value: -1 }, reduction: { kind: 'string', value: 'add' } },
          },
          {
            operator: 'LayerNormalization',
            domain: '',
            inputs: ['product', 'ones'],
            outputs: ['normalised', '', 'inverse'],
            attributes: {},
          },
        ],
        inputs: [float('a', 2, 3)],
        outputs: [float('scattered', 2, 2), float('turned', 3, 2), float('inverse', 2, 1)],
        constants: [
          { name: 'at', type: 'int64', shape: [1, 2], data: bytesOf(BigInt64Array.of(1n, 1n)) },
          { name: 'ones', type: 'float', shape: [1, 2], data: bytesOf(Float32Array.of(1, 1)) },
        ],
      },
      { a: new runtime.Tensor('float32', Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]) },
    );
    // a·aᵀ/2 is [[7, 16], [16, 38.5]]; both ones land on [0, 1].
    expect(results.scattered.data).toEqual(Float32Array.of(7, 18, 16, 38.5));
    expect(results.turned.data).toEqual(Float32Array.of(1, 4, 2, 5, 3, 6));
    expect((results.inverse.data as Float32Array)[0]).toBeCloseTo(1 / Math.sqrt(4.5 ** 2 + 1e-5), 6);
    expect(inputMetadata).toEqual([{ name: 'a', isTensor: true, type: 'float32', shape: [2, 3] }]);
    expect(outputMetadata.map(({ name }) => name)).toEqual(['scattered', 'turned', 'inverse']);
  });

  it('writes a graph that the runtime refuses when a node names no value', async () => {
    const graph: OnnxGraph = {
      nodes: [{ operator: 'Neg', domain: '', inputs: ['nowhere'], outputs: ['y'], attributes: {} }],
      inputs: [],
      outputs: [{ name: 'y', type: 'float', shape: [1] }],
      constants: [],
    };
    await expect(runtime.InferenceSession.create(encodeModel(graph))).rejects.toThrow(/nowhere/);
  });
});
