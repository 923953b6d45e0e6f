// Generation on WebGPU, wherever an adapter opens.

import { describe } from 'vitest';
import { openBackend } from '../../engine/runtime/onnx-backend.ts';
import { reasonToSkip } from '../../engine/runtime/testing/webgpu-adapter.ts';
import { describeGenerationOnDevice } from './testing/device-cases.ts';

const reason = reasonToSkip();
describe.skipIf(reason)(`webgpu${reason && ` (no adapter: ${reason})`}`, () =>
  describeGenerationOnDevice(() => openBackend({ device: 'webgpu', threads: 2 })),
);
