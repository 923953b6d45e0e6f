// A decoder trained on WebGPU, wherever an adapter opens: the CPU's weights, and next to nothing moved.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UpdateStep } from '../../engine/optimizer/update-step.ts';
import type { Backend } from '../../engine/runtime/backend.ts';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { reasonToSkip } from '../../engine/runtime/testing/webgpu-adapter.ts';
import { baseInputs } from '../../language/model/testing/base-inputs.ts';
import { tinyConfigs, tinyParameters, tinyPrompt } from '../../language/model/testing/tiny-models.ts';
import { windowMicroBatches } from './window-batches.ts';

const config = {
  ...{ ...tinyConfigs.llama, hiddenSize: 192, headSize: 48, intermediateSize: 384, layers: 1 },
  initializerRange: 0.05,
};
const length = 32;

function window(seed: number) {
  const ids = Int32Array.from(tinyPrompt(config, length + 1, seed));
  return {
    ids: ids.slice(0, length),
    positions: Int32Array.from(Array(length).keys()),
    segments: new Int32Array(length),
    targets: ids.slice(1),
    weights: new Float32Array(length).fill(1),
  };
}

function trainer(backend: Backend) {
  const parameters = tinyParameters(config);
  const inputs = baseInputs(config);
  const trained = [...parameters].map(([name, values]) => {
    return { name, values, tensor: inputs[name], weightDecay: 0.1 };
  });
  // A larger ε than usual, so that a gradient near 0 does not become a step of its rounding's sign.
  const adamw = { beta1: 0.9, beta2: 0.95, epsilon: 1e-5 };
  return { parameters, step: new UpdateStep(backend, { trained }, { adamw, clipNorm: 1, patience: 1 }) };
}

const reason = reasonToSkip();
describe.skipIf(reason)(`training on webgpu${reason && ` (no adapter: ${reason})`}`, () => {
  let device: Backend;
  let onCpu: ReturnType<typeof trainer>;
  let onDevice: ReturnType<typeof trainer>;
  const results: { loss: [number, number]; norm: [number, number]; moved: number }[] = [];
  beforeAll(async () => {
    device = await openBackend({ device: 'webgpu', threads: 2 });
    [onCpu, onDevice] = [trainer(await openBackend({ threads: 2 })), trainer(device)];
    // Two micro-batches a step, and the same rows each step.
    const batches = () => windowMicroBatches(config, [window(1), window(2)], length, () => 'windows');
    for (let i = 0; i < 5; i++) {
      const before = device.traffic();
      const found = await onDevice.step.step(batches(), 1e-3);
      const after = device.traffic();
      const expected = await onCpu.step.step(batches(), 1e-3);
      const moved = after.toDevice + after.fromDevice - before.toDevice - before.fromDevice;
      results.push({
        loss: [found.loss, expected.loss],
        norm: [found.gradientNorm, expected.gradientNorm],
        moved,
      });
    }
  });
  afterAll(async () => {
    await onCpu.step.close();
    await onDevice.step.close();
  });

  it("gives the CPU's losses and gradient norms in 5 steps, in which the loss falls", () => {
    for (const { loss, norm } of results) {
      expect(Math.abs(loss[0] / loss[1] - 1)).toBeLessThan(1e-5);
      expect(Math.abs(norm[0] / norm[1] - 1)).toBeLessThan(1e-4);
    }
    expect(results[4].loss[1]).toBeLessThan(0.9 * results[0].loss[1]);
  });

  it('moves less than a hundredth of the size of its weights a step', () => {
    const bytes = [...onDevice.parameters.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(bytes).toBeGreaterThan(4 * 300_000);
    // The first step sends weights, moments and constants.
    expect(results[0].moved).toBeGreaterThan(3 * bytes);
    for (const { moved } of results.slice(1)) expect(moved).toBeLessThan(bytes / 100);
  });

  it("has the CPU's weights and moments when they are asked for", async () => {
    const [found, expected] = [await onDevice.step.state(), await onCpu.step.state()];
    const of = ({ parameters }: ReturnType<typeof trainer>, { tensors }: typeof found) => [
      ...parameters,
      ...tensors.map(({ name, data }) => [name, data] as const),
    ];
    const all = of(onCpu, expected);
    of(onDevice, found).forEach(([name, values], i) => {
      const largest = all[i][1].reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const error = values.reduce((most, x, j) => Math.max(most, Math.abs(x - all[i][1][j])), 0);
      expect(error / largest, name).toBeLessThan(1e-4);
    });
  });
});
