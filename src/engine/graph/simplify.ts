// Graph rewriting: equal nodes are merged, what no output needs is dropped (it is never visited), and
// expansions that an elementwise operation would do by itself disappear.

import { makeNode } from './shapes.ts';
import {
  type Attributes,
  broadcastShapes,
  type Node,
  type OpKind,
  sameShape,
  type Tensor,
  topologicalOrder,
} from './tensor.ts';

export type Outputs = Readonly<Record<string, Tensor>>;
/** What to put in a node's place, given its inputs as already rewritten; undefined leaves it. */
type Rewrite = (node: Node, inputs: readonly Tensor[]) => readonly Tensor[] | undefined;

const broadcastingKinds: ReadonlySet<OpKind> = new Set<OpKind>([
  'add',
  'subtract',
  'multiply',
  'divide',
  'maximum',
  'minimum',
  'less',
  'lessOrEqual',
  'equal',
  'and',
  'select',
]);
const largestComparedConstant = 64;

/** Rebuilds the graph from its inputs up, merging equal nodes as it goes. */
export function rewrite(outputs: Outputs, replace: Rewrite = () => undefined): Outputs {
  const merged = new Map<string, Node>();
  const identities = new Map<object, number>();
  const identity = (object: object) =>
    identities.get(object) ?? identities.set(object, identities.size).size - 1;
  const intern = (node: Node): Node => {
    const key = `${node.kind}(${node.inputs.map((t) => `${identity(t.node)}.${t.index}`)})${describe(node, identity)}`;
    const earlier = merged.get(key);
    if (!earlier) merged.set(key, node);
    return earlier ?? node;
  };
  // What a replacement is made of, down to the nodes that are merged already.
  const known = new Map<Node, Node>();
  const adopt = (node: Node): Node => {
    const own = known.get(node);
    if (own) return own;
    const inputs = node.inputs.map((t) => adopt(t.node).outputs[t.index]);
    const same = inputs.every((t, i) => t === node.inputs[i]);
    const result = intern(same ? node : makeNode(node.kind, inputs, node.attributes));
    known.set(node, result).set(result, result);
    return result;
  };
  const replaced = new Map<Tensor, Tensor>();
  for (const node of topologicalOrder(Object.values(outputs))) {
    const inputs = withoutExpansions(
      node,
      node.inputs.map((t) => replaced.get(t)!),
    );
    const results =
      replace(node, inputs)?.map((t) => adopt(t.node).outputs[t.index]) ??
      adopt(makeNode(node.kind, inputs, node.attributes)).outputs;
    node.outputs.forEach((output, i) => {
      replaced.set(output, results[i]);
    });
  }
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, replaced.get(tensor)!]));
}

function describe(node: Node, identity: (object: object) => number): string {
  if (node.kind !== 'constant') return JSON.stringify(node.attributes);
  const { values, shape, dtype } = node.attributes as Attributes['constant'];
  const isLarge = values.length > largestComparedConstant;
  // −0 and 0 read the same but divide differently.
  const content = isLarge
    ? `#${identity(values)}`
    : values.map((v) => (Object.is(v, -0) ? '-0' : v)).join(' ');
  return `${dtype}[${shape}]${content}`;
}

function withoutExpansions(node: Node, inputs: readonly Tensor[]): readonly Tensor[] {
  if (!broadcastingKinds.has(node.kind)) return inputs;
  const result = node.outputs[0].shape;
  const trimmed = [...inputs];
  inputs.forEach((tensor, i) => {
    if (tensor.node.kind !== 'expand') return;
    const candidate = trimmed.with(i, tensor.node.inputs[0]);
    if (
      sameShape(
        broadcastShapes(
          node.kind,
          candidate.map((t) => t.shape),
        ),
        result,
      )
    ) {
      trimmed[i] = tensor.node.inputs[0];
    }
  });
  return trimmed;
}
