// Asks one ONNX Runtime device for a matrix product, in a process of its own: a driver that is missing or broken
// may end the process instead of failing the call. Run as a program it answers with one line of JSON.

import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { delimiter, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeModel } from '../../engine/onnx/model.ts';
import { onnxRuntime } from '../../engine/runtime/onnx-runtime.ts';

export interface ProbeAnswer {
  works: boolean;
  /** Why not, when it does not work. */
  reason?: string;
  /** Best of several products, 10⁹ floating-point operations a second. */
  gflops?: number;
}

export type ProbedDevice = 'cpu' | 'webgpu' | 'cuda';

const timeLimitMs = 60_000;

/** @param size rows and columns of the matrices: 2 to see whether the device works, 1024 to see how fast */
export async function probeDevice(device: ProbedDevice, size: number): Promise<ProbeAnswer> {
  const program = fileURLToPath(import.meta.url);
  const child = spawn(process.execPath, [program, device, String(size)], {
    env: graphicsEnvironment(process.env),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeLimitMs,
  });
  let [answer, complaint] = ['', ''];
  child.stdout.on('data', (chunk) => (answer += chunk));
  child.stderr.on('data', (chunk) => (complaint += chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(readAnswer(answer) ?? died(code ?? signal, complaint)));
  });
}

/** HEED_WEBGPU_ICD names a Vulkan driver to use, such as the software one beside a Chromium with its loader. */
function graphicsEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { HEED_WEBGPU_ICD: driver, LD_LIBRARY_PATH: libraries, XDG_RUNTIME_DIR = tmpdir() } = environment;
  if (!driver) return { ...environment, XDG_RUNTIME_DIR };
  const paths = [libraries, dirname(driver)].filter(Boolean).join(delimiter);
  return { ...environment, XDG_RUNTIME_DIR, VK_ICD_FILENAMES: driver, LD_LIBRARY_PATH: paths };
}

function readAnswer(text: string): ProbeAnswer | undefined {
  const line = text.trim().split('\n').at(-1);
  return line?.startsWith('{') ? JSON.parse(line) : undefined;
}

function died(how: number | string | null, complaint: string): ProbeAnswer {
  const lastLine = complaint.trim().split('\n').at(-1);
  return { works: false, reason: `the driver ended the process (${how})${lastLine ? `: ${lastLine}` : ''}` };
}

async function measure(device: string, size: number): Promise<ProbeAnswer> {
  const { InferenceSession, Tensor } = onnxRuntime();
  const session = await InferenceSession.create(productModel(size), {
    executionProviders: [device],
    // Without this a missing device would be replaced by the CPU, silently.
    extra: { session: { disable_cpu_ep_fallback: device === 'cpu' ? '0' : '1' } },
    logSeverityLevel: 3,
  });
  const ones = new Tensor('float32', new Float32Array(size * size).fill(1), [size, size]);
  let seconds = Number.POSITIVE_INFINITY;
  for (let run = 0; run < (size > 2 ? 10 : 1); run++) {
    const start = performance.now();
    const { c } = await session.run({ a: ones, b: ones });
    seconds = Math.min(seconds, (performance.now() - start) / 1000);
    if (c.data[0] !== size) return { works: false, reason: `a wrong product (${c.data[0]} for ${size})` };
  }
  return { works: true, gflops: (2 * size ** 3) / seconds / 1e9 };
}

function productModel(size: number): Uint8Array {
  const shape = [size, size];
  return encodeModel({
    nodes: [{ operator: 'MatMul', domain: '', inputs: ['a', 'b'], outputs: ['c'], attributes: {} }],
    inputs: [
      { name: 'a', type: 'float', shape },
      { name: 'b', type: 'float', shape },
    ],
    outputs: [{ name: 'c', type: 'float', shape }],
    constants: [],
  });
}

/** ONNX Runtime puts its own source line and condition before what it has to say. */
function plainReason(message: string): string {
  return message.split('\n')[0].replace(/^\/onnxruntime_src\/.* was false\. /, '');
}

async function answer(device: string, size: number): Promise<void> {
  const result = await measure(device, size).catch((error: Error): ProbeAnswer => {
    return { works: false, reason: plainReason(error.message) };
  });
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await answer(process.argv[2], Number(process.argv[3]));
