// Programs on ONNX Runtime. Inputs are fed as pointers to the caller's arrays, so that all sessions share one
// copy of the weights.
//
// Outputs: the binding writes a given array in place and then, for every output, makes a fresh copy of it for the
// object that it returns. That costs 0.3–1.5 ms a megabyte and garbage as large as the gradients. It converts
// outputs in order and stops at one that is not a tensor, when all given arrays are already written; so a program
// puts an empty sequence first. Whether the installed binding does so is probed once; if not, outputs are copied.

//
// A device with a memory of its own reads the tensors that it holds there, and leaves there the outputs that are to
// stay. Their session is another: it makes all of its outputs itself, and what returns is copied from them.

import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { UserError } from '../errors.ts';
import type { Decomposable } from '../graph/decompose.ts';
import { type EmittedArray, emit } from '../graph/emission.ts';
import type { Outputs } from '../graph/simplify.ts';
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
import { DeviceMemory } from './device-memory.ts';
import { createSession, type SessionPlan, SharedSessions } from './onnx-sessions.ts';
import { elements, requireFit, tensorOf, tensorsOf } from './onnx-tensors.ts';
import { alone, type Workers } from './workers.ts';

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
  /** Default this process alone. */
  workers?: Workers;
}

/** @throws UserError when the device is not there */
export async function openBackend({
  device = 'cpu',
  threads = 2,
  workers = alone,
}: BackendOptions = {}): Promise<Backend> {
  if (device !== 'cpu') await holdAdapter(device, threads);
  const skipsCopies = device === 'cpu' && (await stopsBeforeCopies(threads));
  const sessions = new SharedSessions();
  const memory = device === 'webgpu' ? new DeviceMemory({ device, threads }) : undefined;
  return {
    device,
    threads,
    workers,
    // With its copies a step would copy the whole cache.
    appendsInPlace: skipsCopies,
    hasOwnMemory: memory !== undefined,
    compile: (outputs, resident = []) =>
      compile(outputs, resident, { device, threads, skipsCopies, sessions, memory }),
    hold: async (arrays) => memory?.hold(arrays),
    upload: async (arrays) => memory?.upload(arrays),
    download: async (arrays) => memory?.download(arrays),
    drop: (arrays) => memory?.drop(arrays),
    traffic: () => ({ toDevice: 0, fromDevice: 0, ...memory?.traffic }),
  };
}

interface ProgramPlan extends SessionPlan {
  skipsCopies: boolean;
  sessions: SharedSessions;
  memory?: DeviceMemory;
}

async function compile(
  outputs: Outputs,
  resident: readonly string[],
  { sessions, skipsCopies, memory, ...plan }: ProgramPlan,
): Promise<Program> {
  const { graph, given, ...ports } = emit(outputs, { lacks: lacking[plan.device] });
  const staying = memory ? resident.filter((name) => name in outputs) : [];
  const model = encodeModel(skipsCopies ? withStop(graph) : graph);
  const { session, giveBack } = await sessions.borrow(model, { ...plan, resident: staying });
  const { tensors, held } = await giveArrays(given, memory);
  const executable: Executable = {
    ...{ ...ports, session, given: tensors, skipsCopies },
    ...{ memory, resident: new Set(resident), returnsCopies: staying.length > 0 },
  };
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
      memory?.drop(held);
      await giveBack();
    },
  };
}

/** The arrays that a graph is given: those that can lie on the device are sent there once. */
async function giveArrays(given: readonly EmittedArray[], memory?: DeviceMemory) {
  const tensors = tensorsOf(given);
  const held: TensorData[] = [];
  if (!memory) return { tensors, held };
  for (const { name, type, shape, data } of given) {
    if (type !== 'float' && type !== 'int32') continue;
    const array = new elements[type].array(data.buffer as ArrayBuffer);
    await memory.hold([array]);
    held.push(array);
    tensors[name] = memory.tensorFor(array, shape)!;
  }
  return { tensors, held };
}

interface Executable {
  session: InferenceSession;
  inputs: readonly Port[];
  outputs: readonly Port[];
  given: Readonly<Record<string, Tensor>>;
  skipsCopies: boolean;
  memory?: DeviceMemory;
  resident: ReadonlySet<string>;
  /** Whether the session writes to no array that it is given. */
  returnsCopies: boolean;
}

async function run(executable: Executable, feeds: Feeds, into: Feeds): Promise<Record<string, TensorData>> {
  const { session, outputs, skipsCopies, returnsCopies } = executable;
  const fed = fedTensors(executable, feeds);
  const results: Record<string, TensorData> = {};
  const fetches: Record<string, Tensor | null> = skipsCopies ? { [stopOutput]: null } : {};
  for (const port of outputs) {
    results[port.name] = arrayOf(executable, port, into[port.name]);
    fetches[port.name] = returnsCopies ? null : tensorOf(port, results[port.name]);
  }
  try {
    const found = await session.run(fed, fetches);
    if (executable.memory) await keep(executable, executable.memory, found, results);
  } catch (error) {
    if (!skipsCopies || (error as Error).message !== stopMessage) throw error;
  }
  return results;
}

function fedTensors({ inputs, given, memory }: Executable, feeds: Feeds): Record<string, Tensor> {
  const fed: Record<string, Tensor> = {};
  for (const port of inputs) {
    const data = feeds[port.name];
    requireFit(port, data, 'input');
    const own = memory?.tensorFor(data, port.shape);
    fed[port.name] = own ?? tensorOf(port, data);
    if (memory && !own) memory.traffic.toDevice += data.byteLength;
  }
  return Object.assign(fed, given);
}

function arrayOf({ resident }: Executable, port: Port, given: TensorData | undefined): TensorData {
  if (!given && resident.has(port.name)) {
    throw new Error(`output ${port.name} stays on the device: expected an array to be the value of`);
  }
  const array = given ?? allocate(port);
  requireFit(port, array, 'output');
  return array;
}

/** Puts what a device has computed where it belongs: in its memory, or in the arrays. */
async function keep(
  { outputs, resident, returnsCopies }: Executable,
  memory: DeviceMemory,
  found: InferenceSession.OnnxValueMapType,
  results: Readonly<Record<string, TensorData>>,
): Promise<void> {
  for (const { name } of outputs) {
    const array = results[name];
    if (resident.has(name)) {
      memory.replace(array, found[name]);
      continue;
    }
    if (returnsCopies) array.set(found[name].data as never);
    memory.traffic.fromDevice += array.byteLength;
    if (memory.isHeld(array)) await memory.upload([array]);
  }
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
      const executable = {
        ...{ session, inputs: [x], outputs: [y], given: {} },
        ...{ skipsCopies: true, resident: new Set<string>(), returnsCopies: false },
      };
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
