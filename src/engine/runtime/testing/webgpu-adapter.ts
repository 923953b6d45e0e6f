// Whether tests on WebGPU can run here: on a graphics card, or on SwiftShader, the software device that comes with
// Chromium (HEED_WEBGPU_ICD names its description file).

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { encodeModel } from '../../onnx/model.ts';

export const softwareDevice = process.env.HEED_WEBGPU_ICD;
if (softwareDevice) {
  process.env.VK_ICD_FILENAMES = softwareDevice;
  process.env.XDG_RUNTIME_DIR ??= tmpdir();
}

/** Why no adapter opens, or '' when one does. A child process tries it: a bad driver aborts the process. */
export function reasonToSkip(): string {
  if (softwareDevice && !existsSync(softwareDevice)) return `HEED_WEBGPU_ICD: ${softwareDevice} is missing`;
  const model = encodeModel({
    nodes: [{ operator: 'Neg', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
    inputs: [{ name: 'x', type: 'float', shape: [1] }],
    outputs: [{ name: 'y', type: 'float', shape: [1] }],
    constants: [],
  });
  const runtime = createRequire(import.meta.url).resolve('onnxruntime-node');
  const script = `
    const { InferenceSession, Tensor } = require(${JSON.stringify(runtime)});
    const model = Buffer.from('${Buffer.from(model).toString('base64')}', 'base64');
    InferenceSession.create(model, { executionProviders: ['webgpu'] })
      .then((session) => session.run({ x: new Tensor('float32', [3], [1]) }))
      .then(({ y }) => process.exit(y.data[0] === -3 ? 0 : 1))
      .catch((error) => { process.stdout.write(error.message); process.exit(1); });`;
  const child = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 30_000 });
  if (child.status === 0) return '';
  const said = child.stdout.trim().replace(/\s+/g, ' ').slice(-160);
  return said || `the process ended with ${child.signal ?? child.status}`;
}
