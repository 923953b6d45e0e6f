// ONNX emission: for each operation, the nodes that compute it. A target says which operations it lacks;
// those are decomposed first, so a rule never asks where it will run.

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

const onnxTypes: { [D in DType]: OnnxType } = { float: 'float', int: 'int32', bool: 'bool' };
const int = (value: number): OnnxAttribute => ({ kind: 'int', value });
const float = (value: number): OnnxAttribute => ({ kind: 'float', value });
const ints = (value: readonly number[]): OnnxAttribute => ({ kind: 'ints', value });

/** Names of its own start with %, so that they never meet those of a program's inputs and outputs. */
class Emitter {
  readonly nodes: OnnxNode[] = [];
  readonly constants = new Map<string, OnnxConstant>();
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

  /** An int64 vector (or scalar) such as Reshape's shape; equal ones are stored once. */
  int64(values: readonly number[], shape: Shape = [values.length]): string {
    const name = `%int64[${shape}]${values.join(' ')}`;
    const data = new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
    this.constants.set(name, { name, type: 'int64', shape, data });
    return name;
  }

  constant(values: readonly number[], shape: Shape, dtype: DType): string {
    const name = `%${this.count++}`;
    const arrays = { float: Float32Array, int: Int32Array, bool: Uint8Array };
    const data = new Uint8Array(arrays[dtype].from(values).buffer);
    this.constants.set(name, { name, type: onnxTypes[dtype], shape, data });
    return name;
  }
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
  emitter.node('Reshape', [name, emitter.int64([shape[0], 1])]);

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
    const reshape = (name: string, shape: Shape) => emitter.node('Reshape', [name, emitter.int64(shape)]);
    return node.inputs[0].shape.length > 0 ? fastGelu(x) : reshape(fastGelu(reshape(x, [1])), []);
  },

  sum: reduction('ReduceSum'),
  max: reduction('ReduceMax'),
  cumulativeSum: (emitter, node, [x]) =>
    emitter.node('CumSum', [x, emitter.int64([node.outputs[0].shape.length - 1], [])]),
  softmax: operator('Softmax', { axis: int(-1) }),
  logSoftmax: operator('LogSoftmax', { axis: int(-1) }),

  reshape: (emitter, { attributes: { shape } }, [x]) => emitter.node('Reshape', [x, emitter.int64(shape)]),
  transpose: (emitter, { attributes: { order } }, inputs) =>
    emitter.node('Transpose', inputs, { perm: ints(order) }),
  expand: (emitter, { attributes: { shape } }, [x]) => emitter.node('Expand', [x, emitter.int64(shape)]),
  slice: (emitter, node, [x]) => {
    const { axis, start, end } = node.attributes;
    const { shape, dtype } = node.inputs[0];
    if (dtype === 'float') {
      return emitter.node('Slice', [x, emitter.int64([start]), emitter.int64([end]), emitter.int64([axis])]);
    }
    // WebGPU's Slice takes floats only; its Split takes integers too.
    const sizes = [start, end - start, shape[axis] - end];
    const split = emitter.int64(sizes.filter((size) => size > 0));
    const wanted = sizes.filter((size) => size > 0).map(() => true);
    return emitter.nodeWithOutputs('Split', [x, split], { axis: int(axis) }, wanted)[start > 0 ? 1 : 0];
  },
  concat: (emitter, { attributes: { axis } }, inputs) => emitter.node('Concat', inputs, { axis: int(axis) }),

  gatherRows: operator('Gather', { axis: int(0) }),
  // ScatterElements and not ScatterND, whose additions race when threads share a row.
  scatterAddRows: (emitter, node, [values, ids]) => {
    const { shape } = node.outputs[0];
    const zeros = emitter.node('Expand', [emitter.constant([0], [1, 1], 'float'), emitter.int64(shape)]);
    const target = emitter.int64(node.inputs[0].shape);
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
    return emitter.node('Reshape', [picked, emitter.int64(node.outputs[0].shape)]);
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
    return emitter.node('Reshape', [picked, emitter.int64(node.outputs[0].shape)]);
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
      isLong ? emitter.node('Reshape', [name, emitter.int64([B * T, 1, ...last])]) : name;
    const ids = emitter.node('Cast', [rows(positions, [])], { to: int(7) });
    const turned = emitter.node(
      'RotaryEmbedding',
      [rows(x, [width]), ids, cosine, angles],
      { interleaved: int(0), num_heads: int(heads) },
      'com.microsoft',
    );
    return isLong ? emitter.node('Reshape', [turned, emitter.int64([B, T, width])]) : turned;
  },
  attention: () => {
    throw new Error('every target decomposes attention');
  },
  appendAndAttend: (emitter, node, [query, key, value, keys, values, lengths]) => {
    const [B, H, , dh] = node.inputs[0].shape;
    const [, K, C] = node.inputs[3].shape;
    const row = (name: string, heads: number) =>
      emitter.node('Reshape', [name, emitter.int64([B, 1, heads * dh])]);
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
        emitter.constant([C], [1], 'int'),
      ],
      // A scale other than 1 misses the kernel for a single row, which reads the keys twice as fast.
      { num_heads: int(H), kv_num_heads: int(K), scale: float(1) },
      [true, true, true],
      'com.microsoft',
    );
    return [emitter.node('Reshape', [attended, emitter.int64([B, H, 1, dh])]), ...appended];
  },
};

export interface Emission {
  graph: OnnxGraph;
  inputs: readonly { name: string; shape: Shape; dtype: DType }[];
  outputs: readonly { name: string; shape: Shape; dtype: DType }[];
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
  nameOutputs(emitter, simplified, names);
  const described = Object.entries(simplified).map(([name, { shape, dtype }]) => ({ name, shape, dtype }));
  const value = ({ name, shape, dtype }: Emission['inputs'][number]): OnnxValue => ({
    name,
    shape,
    type: onnxTypes[dtype],
  });
  const graph: OnnxGraph = {
    nodes: emitter.nodes,
    constants: [...emitter.constants.values()],
    inputs: inputs.map(value),
    outputs: described.map(value),
  };
  return { graph, inputs, outputs: described };
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
