// Programs on ONNX Runtime. Inputs are fed as pointers to the caller's arrays, so that all sessions share one
// copy of the weights.
//
// Outputs: the binding writes a given array in place and then, for every output, makes a fresh copy of it for the
// object that it returns. That costs 0.3–1.5 ms a megabyte and garbage as large as the gradients. It converts
// outputs in order and stops at one that is not a tensor, when all given arrays are already written; so a program
// puts an empty sequence first. Whether the installed binding does so is probed once; if not, outputs are copied.

import { createHash } from 'node:crypto';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { ShapeError, UserError } from '../errors.ts';
import type { Decomposable } from '../graph/decompose.ts';
import { type EmittedArray, emit, onnxTypes } from '../graph/emission.ts';
import type { Outputs } from '../graph/simplify.ts';
import { describeType, sizeOf } from '../graph/tensor.ts';
import { encodeModel, type OnnxGraph } from '../onnx/model.ts';
import {
  allocate,
  type Backend,
  type Device,
  type Feeds,
  type Port,
  type Program,
  type TensorData,
} from './backend.ts';
import { onnxRuntime } from './onnx-runtime.ts';

const stopOutput = '%written';
const stopMessage = 'Non tensor type is temporarily not supported.';

/** What each device's kernels leave out (measured: these fall back to the CPU or come out wrong). */
const lacking: { [D in Device]: ReadonlySet<Decomposable> } = {
  cpu: new Set<Decomposable>(['attention']),
  cuda: new Set<Decomposable>(['attention', 'appendAndAttend']),
  webgpu: new Set<Decomposable>([
    'attention',
    'appendAndAttend',
    'silu',
    'gelu',
    'geluTanh',
    'softplus',
    'logSoftmax',
    'targetLogProbs',
    'addAtIndex',
    'scatterAddRows',
    'matmul',
    'rmsNorm',
    'layerNorm',
    'rotary',
  ]),
};

export interface BackendOptions {
  device?: Device;
  /** Threads of one operation. */
  threads?: number;
}

/** @throws UserError when the device is not there */
export async function openBackend({ device = 'cpu', threads = 2 }: BackendOptions = {}): Promise<Backend> {
  if (device !== 'cpu') await holdAdapter(device, threads);
  const skipsCopies = device === 'cpu' && (await stopsBeforeCopies(threads));
  const sessions = new SharedSessions();
  return {
    device,
    threads,
    // With its copies a step would copy the whole cache.
    appendsInPlace: skipsCopies,
    compile: (outputs) => compile(outputs, { device, threads, skipsCopies, sessions }),
  };
}

interface SessionPlan {
  device: Device;
  threads: number;
}

interface ProgramPlan extends SessionPlan {
  skipsCopies: boolean;
  sessions: SharedSessions;
}

async function compile(outputs: Outputs, { sessions, skipsCopies, ...plan }: ProgramPlan): Promise<Program> {
  const { graph, given, ...ports } = emit(outputs, { lacks: lacking[plan.device] });
  const model = encodeModel(skipsCopies ? withStop(graph) : graph);
  const { session, giveBack } = await sessions.borrow(model, plan);
  const executable: Executable = { ...ports, session, given: tensorsOf(given), skipsCopies };
  let isReleased = false;
  return {
    ...ports,
    async run(feeds, into = {}) {
      if (isReleased) throw new Error('a program that was released is run');
      return run(executable, feeds, into);
    },
    async release() {
      if (isReleased) return;
      isReleased = true;
      await giveBack();
    },
  };
}

/** Sessions by the model that they run: programs that differ in sizes only share one, open as long as one has it. */
class SharedSessions {
  private readonly open = new Map<string, { session: Promise<InferenceSession>; borrowers: number }>();

  async borrow(model: Uint8Array, plan: SessionPlan) {
    const key = createHash('sha256').update(model).digest('hex');
    const entry = this.open.get(key) ?? { session: createSession(model, plan), borrowers: 0 };
    this.open.set(key, entry);
    entry.borrowers += 1;
    const giveBack = async () => {
      entry.borrowers -= 1;
      if (entry.borrowers > 0) return;
      this.open.delete(key);
      await (await entry.session).release();
    };
    try {
      return { session: await entry.session, giveBack };
    } catch (error) {
      if (this.open.get(key) === entry) this.open.delete(key);
      throw error;
    }
  }
}

/** Without this a node that WebGPU has no kernel for would run on the CPU and nobody would know. */
const webgpuEntries = { disable_cpu_ep_fallback: '1' };
/** Else a session's threads wait for its next run spinning, 10 to 30 ms, on cores that the next session needs. */
const otherEntries = { force_spinning_stop: '1' };

async function createSession(model: Uint8Array, { device, threads }: SessionPlan): Promise<InferenceSession> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: [device],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'basic',
    // Sessions allocate from the process's one heap; see job.ts.
    enableCpuMemArena: false,
    enableMemPattern: false,
    logSeverityLevel: 3,
    extra: { session: device === 'webgpu' ? webgpuEntries : otherEntries },
  };
  return await onnxRuntime().InferenceSession.create(model, options);
}

interface Executable {
  session: InferenceSession;
  inputs: readonly Port[];
  outputs: readonly Port[];
  given: Readonly<Record<string, Tensor>>;
  skipsCopies: boolean;
}

async function run(
  { session, inputs, outputs, given, skipsCopies }: Executable,
  feeds: Feeds,
  into: Feeds,
): Promise<Record<string, TensorData>> {
  const fed: Record<string, Tensor> = {};
  for (const port of inputs) fed[port.name] = tensorOf(port, feeds[port.name], 'input');
  Object.assign(fed, given);
  const results: Record<string, TensorData> = {};
  const fetches: Record<string, Tensor | null> = skipsCopies ? { [stopOutput]: null } : {};
  for (const port of outputs) {
    results[port.name] = into[port.name] ?? allocate(port);
    fetches[port.name] = tensorOf(port, results[port.name], 'output');
  }
  try {
    await session.run(fed, fetches);
  } catch (error) {
    if (!skipsCopies || (error as Error).message !== stopMessage) throw error;
  }
  return results;
}

const elements = {
  float: { type: 'float32', array: Float32Array },
  int32: { type: 'int32', array: Int32Array },
  int64: { type: 'int64', array: BigInt64Array },
  bool: { type: 'bool', array: Uint8Array },
} as const satisfies { [T in EmittedArray['type']]: unknown };

function tensorOf(port: Port, data: TensorData | undefined, role: 'input' | 'output'): Tensor {
  const { type, array } = elements[onnxTypes[port.dtype]];
  if (!(data instanceof array) || data.length !== sizeOf(port.shape)) {
    throw new ShapeError({
      where: `${role} ${port.name}`,
      expected: `${describeType(port)} in a ${array.name}`,
      found: data ? `${data.length} elements in a ${data.constructor.name}` : 'nothing',
    });
  }
  const { Tensor } = onnxRuntime();
  return new Tensor(type, data as never, port.shape);
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

function withStop(graph: OnnxGraph): OnnxGraph {
  return {
    ...graph,
    nodes: [
      { operator: 'SequenceEmpty', domain: '', inputs: [], outputs: [stopOutput], attributes: {} },
      ...graph.nodes,
    ],
    outputs: [{ name: stopOutput, type: 'float', shape: [], isSequence: true }, ...graph.outputs],
  };
}

const negation: OnnxGraph = {
  nodes: [{ operator: 'Neg', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
  inputs: [{ name: 'x', type: 'float', shape: [1] }],
  outputs: [{ name: 'y', type: 'float', shape: [1] }],
  constants: [],
};

const adapters = new Map<Device, Promise<InferenceSession>>();

/**
 * Opens a device with a session that is never released: with the last session the runtime would close a WebGPU
 * adapter and forget its compiled shaders, and the next program would wait for them again.
 */
async function holdAdapter(device: Device, threads: number): Promise<void> {
  const opening = adapters.get(device) ?? createSession(encodeModel(negation), { device, threads });
  adapters.set(device, opening);
  try {
    await opening;
  } catch (error) {
    adapters.delete(device);
    // Behind the runtime's own source lines stands what went wrong.
    const found = (error as Error).message.split('was false. ').at(-1)!.trim();
    const advice = '--device cpu, or `heed doctor` to see what this machine has';
    throw new UserError(
      { where: `--device ${device}`, expected: 'a working adapter', found, advice },
      { cause: error },
    );
  }
}

let probe: Promise<boolean> | undefined;

/** Whether a run with a sequence as first output ends with the given arrays written. */
function stopsBeforeCopies(threads: number): Promise<boolean> {
  probe ??= (async () => {
    const session = await createSession(encodeModel(withStop(negation)), { device: 'cpu', threads });
    const [x, y] = ['x', 'y'].map((name): Port => ({ name, shape: [1], dtype: 'float' }));
    try {
      const executable = { session, inputs: [x], outputs: [y], given: {}, skipsCopies: true };
      const results = await run(executable, { x: Float32Array.of(3) }, {});
      return results.y[0] === -3;
    } catch {
      return false;
    } finally {
      await session.release();
    }
  })();
  return probe;
}
