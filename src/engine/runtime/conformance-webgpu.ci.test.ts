// The WebGPU backend, held to the contract of all backends, wherever an adapter opens: a graphics card, or a device
// in software.

import { describe, expect, it } from 'vitest';
import { input } from '../graph/build.ts';
import { openBackend } from './onnx-backend.ts';
import { describeConformance } from './testing/conformance.ts';
import { reasonToSkip, softwareDevice } from './testing/webgpu-adapter.ts';

/** On a graphics card as on the CPU; in software what takes about a minute on two cores. */
const repetition = softwareDevice
  ? { runs: 20, rows: 512, columns: 128 }
  : { runs: 20, rows: 2048, columns: 256 };

const reason = reasonToSkip();

describe.skipIf(reason)(`webgpu${reason && ` (no adapter: ${reason})`}`, () => {
  const open = () => openBackend({ device: 'webgpu', threads: 2 });
  describeConformance(open, { repetition });

  it('fails rather than runs on the CPU what WebGPU has no kernel for', async () => {
    const backend = await open();
    await expect(backend.compile({ y: input('x', [2], 'bool') })).rejects.toThrow(
      /fallback to CPU EP has been explicitly disabled/,
    );
  });
});

describe.runIf(reason)('webgpu without an adapter', () => {
  it('is not the software device that HEED_WEBGPU_ICD names', () => {
    expect(softwareDevice && reason).toBeUndefined();
  });

  it('is a mistake to ask for', async () => {
    await expect(openBackend({ device: 'webgpu' })).rejects.toThrow(
      /^--device webgpu: expected a working adapter/,
    );
  });
});
