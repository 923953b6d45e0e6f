// The CPU backend, held to the contract of all backends and to what only it promises.

import { createRequire } from 'node:module';
import type { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { emit } from '../graph/emission.ts';
import { encodeModel } from '../onnx/model.ts';
import { openBackend } from './onnx-backend.ts';
import { tensorsOf } from './onnx-tensors.ts';
import { caseProgram } from './testing/case-program.ts';
import { describeConformance } from './testing/conformance.ts';
import { wideCases } from './testing/wide-cases.ts';

describe('cpu, 2 threads', () => {
  const open = () => openBackend({ device: 'cpu', threads: 2 });
  describeConformance(open, { repetition: { runs: 20, rows: 2048, columns: 256 } });

  it('gives, without its copies, the bits that the runtime gives with them', async () => {
    const { value, gradients, feeds } = caseProgram(wideCases(256, 64).rmsNorm);
    const outputs = { result: value, ...gradients };
    const program = await (await open()).compile(outputs);
    const found = await program.run(feeds);
    await program.release();
    const copied = await runWithCopies(outputs, feeds);
    for (const name of Object.keys(outputs)) expect(found[name]).toEqual(copied[name].data);
  });
});

type OnnxRuntime = typeof import('onnxruntime-node');

/** The same graph given to the runtime directly, in its ordinary way. */
async function runWithCopies(
  outputs: Parameters<typeof emit>[0],
  feeds: Readonly<Record<string, object>>,
): Promise<InferenceSession.OnnxValueMapType> {
  const runtime = createRequire(import.meta.url)('onnxruntime-node') as OnnxRuntime;
  const { graph, inputs, given: arrays } = emit(outputs, { lacks: new Set() });
  const options = { intraOpNumThreads: 2, graphOptimizationLevel: 'basic' } as const;
  const session = await runtime.InferenceSession.create(encodeModel(graph), options);
  const given = tensorsOf(arrays);
  for (const { name, shape } of inputs) {
    given[name] = new runtime.Tensor('float32', feeds[name] as Float32Array, shape);
  }
  const results = await session.run(given);
  await session.release();
  return results;
}
