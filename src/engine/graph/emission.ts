// ONNX emission: for each operation, the nodes that compute it. A target says which operations it lacks;
// those are decomposed first, so a rule never asks where it will run.
//
// A graph leaves sizes open: what depends on them is given with every run, and a dimension has a name instead of a
// number, the same for all dimensions of one size. Programs that differ in sizes only then have one graph, byte for
// byte, as long as the same dimensions of theirs are equal to each other.

import type { OnnxAttribute, OnnxConstant, OnnxGraph, OnnxNode, OnnxType, OnnxValue } from '../onnx/model.ts';
import { type Decomposable, decompose } from './decompose.ts';
import { type Outputs, rewrite } from './simplify.ts';
import { type DType, type Node, type OpKind, type Shape, type Tensor, topologicalOrder } from './tensor.ts';

/** What a device's kernels leave out. */
export interface EmissionTarget {
  lacks: ReadonlySet<Decomposable>;
}

type EmissionRule<K extends OpKind> = (
  emitter: Emitter,
  node: Node<K>,
  inputs: readonly string[],
) => string | string[];

export const onnxTypes = { float: 'float', int: 'int32', bool: 'bool' } as const satisfies {
  [D in DType]: OnnxType;
};
const int = (value: number): OnnxAttribute => ({ kind: 'int', value });
const float = (value: number): OnnxAttribute => ({ kind: 'float', value });
const ints = (value: readonly number[]): OnnxAttribute => ({ kind: 'ints', value });

/** An array that a rule makes: part of the graph, or given with every run. */
export type EmittedArray = OnnxConstant & { type: 'float' | 'int32' | 'int64' | 'bool' };

/** Names of its own start with %, so that they never meet those of a program's inputs and outputs. */
class Emitter {
  readonly nodes: OnnxNode[] = [];
  readonly constants = new Map<string, EmittedArray>();
  /** Given with every run: what says the sizes, and what goes by them. */
  readonly sizeVectors = new Map<string, EmittedArray>();
  readonly arrays = new Map<string, EmittedArray>();
  private readonly sizeNames = new Map<number, string>();
  private count = 0;

  /** Adds a node with one output and returns the output's name. */
  node(
    operator: string,
    inputs: readonly string[],
    attributes: Record<string, OnnxAttribute> = {},
    domain: OnnxNode['domain'] = '',
  ): string {
    return this.nodeWithOutputs(operator, inputs, attributes, [true], domain)[0];
  }

  /** Adds a node; outputs that are not wanted get the empty name. */
  nodeWithOutputs(
    operator: string,
    inputs: readonly string[],
    attributes: Record<string, OnnxAttribute>,
    wanted: readonly boolean[],
    domain: OnnxNode['domain'] = '',
  ): string[] {
    const outputs = wanted.map((isWanted) => (isWanted ? `%${this.count++}` : ''));
    this.nodes.push({ operator, domain, inputs, outputs, attributes });
    return outputs;
  }

  /** An int64 vector (or scalar) that says what a node does, such as its axes. */
  int64(values: readonly number[], shape: Shape = [values.length]): string {
    return put(this.constants, '%int64.', { type: 'int64', shape, data: bytesOf('int64', values) });
  }

  /** A vector of sizes, such as Reshape's shape. */
  sizes(values: readonly number[], type: 'int64' | 'int32' = 'int64'): string {
    const given = { type, shape: [values.length], data: bytesOf(type, values) };
    return put(this.sizeVectors, '%sizes.', given);
  }

  /** Arrays go by a size, and so may an integer; a float alone is a number of the computation. */
  constant(values: readonly number[], shape: Shape, dtype: DType): string {
    const type = onnxTypes[dtype];
    const into = values.length > 1 || dtype === 'int' ? this.arrays : this.constants;
    const name = `%array.${this.count++}`;
    into.set(name, { name, type, shape, data: bytesOf(type, values) });
    return name;
  }

  /** A shape with names for its sizes. */
  dimensions(shape: Shape): OnnxValue['shape'] {
    return shape.map((size) => {
      if (size === 1) return 1;
      const name = this.sizeNames.get(size) ?? `size${this.sizeNames.size}`;
      this.sizeNames.set(size, name);
      return name;
    });
  }
}

/** Adds an array, once for equal ones. */
function put(into: Map<string, EmittedArray>, prefix: string, array: Omit<EmittedArray, 'name'>): string {
  const key = `${prefix}[${array.shape}]${array.data.join(' ')}`;
  const known = into.get(key) ?? { name: `${prefix}${into.size}`, ...array };
  into.set(key, known);
  return known.name;
}

const arrayTypes = {
  float: Float32Array,
  int32: Int32Array,
  bool: Uint8Array,
} as const;

function bytesOf(type: EmittedArray['type'], values: readonly number[]): Uint8Array {
  const array = type === 'int64' ? BigInt64Array.from(values.map(BigInt)) : arrayTypes[type].from(values);
  return new Uint8Array(array.buffer);
}

const operator =
  (name: string, attributes: Record<string, OnnxAttribute> = {}, domain: OnnxNode['domain'] = '') =>
  (emitter: Emitter, _node: unknown, inputs: readonly string[]): string =>
    emitter.node(name, inputs, attributes, domain);

const reduction =
  (name: string) =>
  (emitter: Emitter, node: Node<'sum' | 'max'>, [x]: readonly string[]): string =>
    emitter.node(name, [x, emitter.int64(node.attributes.axes)], { keepdims: int(1) });

const column = (emitter: Emitter, name: string, { shape }: Tensor): string =>
  emitter.node('Reshape', [name, emitter.sizes([shape[0], 1])]);

const emissionRules: { [K in OpKind]: EmissionRule<K> } = {
  input: (_emitter, node) => node.attributes.name,
  constant: (emitter, { attributes: { values, shape, dtype } }) => emitter.constant(values, shape, dtype),

  add: operator('Add'),
  subtract: operator('Sub'),
  multiply: operator('Mul'),
  divide: operator('Div'),
  maximum: operator('Max'),
  minimum: operator('Min'),
  less: operator('Less'),
  lessOrEqual: operator('LessOrEqual'),
  equal: operator('Equal'),
  and: operator('And'),
  select: operator('Where'),
  cast: (emitter, { attributes: { dtype } }, inputs) =>
    emitter.node('Cast', inputs, { to: int({ float: 1, int: 6, bool: 9 }[dtype]) }),

  negate: operator('Neg'),
  absolute: operator('Abs'),
  exp: operator('Exp'),
  log: operator('Log'),
  sqrt: operator('Sqrt'),
  tanh: operator('Tanh'),
  sigmoid: operator('Sigmoid'),
  softplus: operator('Softplus'),
  relu: operator('Relu'),
  silu: operator('QuickGelu', { alpha: float(1) }, 'com.microsoft'),
  erf: operator('Erf'),
  gelu: operator('Gelu', {}, 'com.microsoft'),
  // FastGelu refuses scalars.
  geluTanh: (emitter, node, [x]) => {
    const fastGelu = (name: string) => emitter.node('FastGelu', [name], {}, 'com.microsoft');
    const reshape = (name: string, shape: Shape) => emitter.node('Reshape', [name, emitter.sizes(shape)]);
    return node.inputs[0].shape.length > 0 ? fastGelu(x) : reshape(fastGelu(reshape(x, [1])), []);
  },

  sum: reduction('ReduceSum'),
  max: reduction('ReduceMax'),
  cumulativeSum: (emitter, node, [x]) =>
    emitter.node('CumSum', [x, emitter.int64([node.outputs[0].shape.length - 1], [])]),
  softmax: operator('Softmax', { axis: int(-1) }),
  logSoftmax: operator('LogSoftmax', { axis: int(-1) }),

  reshape: (emitter, { attributes: { shape } }, [x]) => emitter.node('Reshape', [x, emitter.sizes(shape)]),
  transpose: (emitter, { attributes: { order } }, inputs) =>
    emitter.node('Transpose', inputs, { perm: ints(order) }),
  expand: (emitter, { attributes: { shape } }, [x]) => emitter.node('Expand', [x, emitter.sizes(shape)]),
  slice: (emitter, node, [x]) => {
    const { axis, start, end } = node.attributes;
    const { shape, dtype } = node.inputs[0];
    if (dtype === 'float') {
      return emitter.node('Slice', [x, emitter.sizes([start]), emitter.sizes([end]), emitter.int64([axis])]);
    }
    // WebGPU's Slice takes floats only; its Split takes integers too.
    const sizes = [start, end - start, shape[axis] - end];
    const split = emitter.sizes(sizes.filter((size) => size > 0));
    const wanted = sizes.filter((size) => size > 0).map(() => true);
    return emitter.nodeWithOutputs('Split', [x, split], { axis: int(axis) }, wanted)[start > 0 ? 1 : 0];
  },
  concat: (emitter, { attributes: { axis } }, inputs) => emitter.node('Concat', inputs, { axis: int(axis) }),

  gatherRows: operator('Gather', { axis: int(0) }),
  // ScatterElements and not ScatterND, whose additions race when threads share a row.
  scatterAddRows: (emitter, node, [values, ids]) => {
    const { shape } = node.outputs[0];
    const zeros = emitter.node('Expand', [emitter.constant([0], [1, 1], 'float'), emitter.sizes(shape)]);
    const target = emitter.sizes(node.inputs[0].shape);
    const indices = emitter.node('Expand', [column(emitter, ids, node.inputs[1]), target]);
    return emitter.node('ScatterElements', [zeros, indices, values], {
      axis: int(0),
      reduction: { kind: 'string', value: 'add' },
    });
  },
  pickAtIndex: (emitter, node, [x, ids]) => {
    const picked = emitter.node('GatherElements', [x, column(emitter, ids, node.inputs[1])], {
      axis: int(1),
    });
    return emitter.node('Reshape', [picked, emitter.sizes(node.outputs[0].shape)]);
  },
  addAtIndex: (emitter, node, [x, ids, values]) =>
    emitter.node(
      'ScatterElements',
      [x, column(emitter, ids, node.inputs[1]), column(emitter, values, node.inputs[2])],
      { axis: int(1), reduction: { kind: 'string', value: 'add' } },
    ),

  matmul: (emitter, { attributes: { transposeA, transposeB, scale } }, inputs) =>
    !transposeA && !transposeB && scale === 1
      ? emitter.node('MatMul', inputs)
      : emitter.node(
          'FusedMatMul',
          inputs,
          { transA: int(Number(transposeA)), transB: int(Number(transposeB)), alpha: float(scale) },
          'com.microsoft',
        ),
  targetLogProbs: (emitter, node, [logits, targets]) => {
    const logProbs = emitter.node('LogSoftmax', [logits], { axis: int(-1) });
    const picked = emitter.node('GatherElements', [logProbs, column(emitter, targets, node.inputs[1])], {
      axis: int(1),
    });
    return emitter.node('Reshape', [picked, emitter.sizes(node.outputs[0].shape)]);
  },
  rmsNorm: (emitter, { attributes: { epsilon } }, inputs) =>
    emitter.nodeWithOutputs(
      'SimplifiedLayerNormalization',
      inputs,
      { axis: int(-1), epsilon: float(epsilon), stash_type: int(1) },
      [true, true],
    ),
  layerNorm: (emitter, { attributes: { epsilon } }, inputs) =>
    emitter.nodeWithOutputs(
      'LayerNormalization',
      inputs,
      { axis: int(-1), epsilon: float(epsilon), stash_type: int(1) },
      [true, true, true],
    ),
  rotary: (emitter, node, [x, positions, cosine, sine]) => {
    const { heads, inverse } = node.attributes;
    const [B, T, width] = node.inputs[0].shape;
    const angles = inverse ? emitter.node('Neg', [sine]) : sine;
    // RotaryEmbedding refuses windows longer than its tables; each row then counts as a window of one.
    const isLong = T > node.inputs[2].shape[0];
    const rows = (name: string, last: Shape) =>
      isLong ? emitter.node('Reshape', [name, emitter.sizes([B * T, 1, ...last])]) : name;
    const ids = emitter.node('Cast', [rows(positions, [])], { to: int(7) });
    const turned = emitter.node(
      'RotaryEmbedding',
      [rows(x, [width]), ids, cosine, angles],
      { interleaved: int(0), num_heads: int(heads) },
      'com.microsoft',
    );
    return isLong ? emitter.node('Reshape', [turned, emitter.sizes([B, T, width])]) : turned;
  },
  attention: () => {
    throw new Error('every target decomposes attention');
  },
  appendAndAttend: (emitter, node, [query, key, value, keys, values, lengths]) => {
    const [B, H, , dh] = node.inputs[0].shape;
    const [, K, C] = node.inputs[3].shape;
    const row = (name: string, heads: number) =>
      emitter.node('Reshape', [name, emitter.sizes([B, 1, heads * dh])]);
    const [attended, ...appended] = emitter.nodeWithOutputs(
      'GroupQueryAttention',
      [
        row(query, H),
        row(key, K),
        row(value, K),
        keys,
        values,
        // Its place of the last token, counted from 0, is the number of tokens before it.
        lengths,
        emitter.sizes([C], 'int32'),
      ],
      // A scale other than 1 misses the kernel for a single row, which reads the keys twice as fast.
      { num_heads: int(H), kv_num_heads: int(K), scale: float(1) },
      [true, true, true],
      'com.microsoft',
    );
    return [emitter.node('Reshape', [attended, emitter.sizes([B, H, 1, dh])]), ...appended];
  },
};

export interface Emission {
  graph: OnnxGraph;
  inputs: readonly { name: string; shape: Shape; dtype: DType }[];
  outputs: readonly { name: string; shape: Shape; dtype: DType }[];
  /** What the graph is given with every run besides these inputs. */
  given: readonly EmittedArray[];
}

/**
 * The ONNX graph that computes `outputs` on `target`, after simplification.
 * @throws Error when two inputs, or an input and an output, have one name
 */
export function emit(outputs: Outputs, target: EmissionTarget): Emission {
  const simplified = lower(outputs, target);
  const emitter = new Emitter();
  const names = new Map<Tensor, string>();
  const inputs: Emission['inputs'][number][] = [];
  for (const node of topologicalOrder(Object.values(simplified))) {
    if (node.kind === 'input') inputs.push((node as Node<'input'>).attributes);
    const rule = emissionRules[node.kind] as EmissionRule<OpKind>;
    const results = [
      rule(
        emitter,
        node,
        node.inputs.map((t) => names.get(t)!),
      ),
    ].flat();
    node.outputs.forEach((output, i) => {
      names.set(output, results[i]);
    });
  }
  requireDistinct([...inputs.map(({ name }) => name), ...Object.keys(simplified)]);
  const described = Object.entries(simplified).map(([name, { shape, dtype }]) => ({ name, shape, dtype }));
  const value = ({ name, shape, dtype }: Emission['inputs'][number]): OnnxValue => ({
    name,
    shape: emitter.dimensions(shape),
    type: onnxTypes[dtype],
  });
  const [sizes, arrays] = [[...emitter.sizeVectors.values()], [...emitter.arrays.values()]];
  // The runtime infers little of open sizes, and computes in place only what it knows the size of.
  const results = new Set(Object.values(simplified));
  const isIntermediate = (tensor: Tensor) =>
    tensor.node.kind !== 'input' && tensor.node.kind !== 'constant' && !results.has(tensor);
  const intermediates = [...names].filter(([tensor]) => isIntermediate(tensor));
  nameOutputs(emitter, simplified, names);
  const graph: OnnxGraph = {
    nodes: emitter.nodes,
    constants: [...emitter.constants.values()],
    inputs: [
      ...inputs.map(value),
      // As long as what they describe has axes: a fact of the structure.
      ...sizes.map(({ name, type, shape }) => ({ name, type, shape })),
      ...arrays.map(({ name, type, shape }) => ({ name, type, shape: emitter.dimensions(shape) })),
    ],
    outputs: described.map(value),
    intermediates: intermediates.map(([{ shape, dtype }, name]) => value({ name, shape, dtype })),
  };
  return { graph, inputs, outputs: described, given: [...sizes, ...arrays] };
}

function requireDistinct(names: readonly string[]): void {
  const repeated = names.find((name, i) => names.indexOf(name) !== i);
  if (repeated) throw new Error(`a program names both ${repeated} and another input or output ${repeated}`);
}

/** Gives each output its own name: the producing node writes it, unless it is an input or another output too. */
function nameOutputs(emitter: Emitter, outputs: Outputs, names: ReadonlyMap<Tensor, string>): void {
  const renamed = new Map<string, string>();
  const copies: OnnxNode[] = [];
  for (const [name, tensor] of Object.entries(outputs)) {
    const own = names.get(tensor)!;
    const isProduced = tensor.node.kind !== 'input' && tensor.node.kind !== 'constant';
    if (isProduced && !renamed.has(own)) renamed.set(own, name);
    else copies.push({ operator: 'Identity', domain: '', inputs: [own], outputs: [name], attributes: {} });
  }
  const rename = (name: string) => renamed.get(name) ?? name;
  emitter.nodes.push(...copies);
  emitter.nodes.forEach((node, i) => {
    emitter.nodes[i] = { ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) };
  });
}

function lower(outputs: Outputs, { lacks }: EmissionTarget): Outputs {
  const isPlain = (node: Node): boolean => {
    if (node.kind !== 'matmul') return false;
    const { transposeA, transposeB, scale } = (node as Node<'matmul'>).attributes;
    return !transposeA && !transposeB && scale === 1;
  };
  let lowered = rewrite(outputs);
  const remains = (node: Node) => lacks.has(node.kind as Decomposable) && !isPlain(node);
  while (topologicalOrder(Object.values(lowered)).some(remains)) {
    lowered = rewrite(lowered, (node, inputs) =>
      remains(node) ? decompose(node.kind as Decomposable, inputs, node.attributes as never) : undefined,
    );
  }
  return lowered;
}
