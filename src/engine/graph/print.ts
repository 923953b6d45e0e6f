// A graph as text, one line a node, for people who look for what a program really does.

import type { Outputs } from './simplify.ts';
import { describeType, type Node, topologicalOrder } from './tensor.ts';

/** Lines such as `%3: float[2,8] = matmul(%1, %2) {"transposeB":true}`, inputs before users. */
export function printGraph(outputs: Outputs): string {
  const names = new Map<Node, string>();
  const lines = topologicalOrder(Object.values(outputs)).map((node) => {
    names.set(node, `%${names.size}`);
    return `${names.get(node)}: ${node.outputs.map(describeType).join(' and ')} = ${expression(node, names)}`;
  });
  for (const [name, { node, index }] of Object.entries(outputs))
    lines.push(`${name} = ${reference(node, index, names)}`);
  return lines.join('\n');
}

/** `%3`, or `%3.1` for a further output. */
function reference(node: Node, index: number, names: ReadonlyMap<Node, string>): string {
  return names.get(node)! + (index > 0 ? `.${index}` : '');
}

function expression(node: Node, names: ReadonlyMap<Node, string>): string {
  const inputs = node.inputs.map((t) => reference(t.node, t.index, names));
  if (node.kind === 'input') return `input ${(node as Node<'input'>).attributes.name}`;
  if (node.kind === 'constant') {
    const { values } = (node as Node<'constant'>).attributes;
    return `constant(${values.slice(0, 4).join(' ')}${values.length > 4 ? ' …' : ''})`;
  }
  const attributes = JSON.stringify(node.attributes);
  return `${node.kind}(${inputs.join(', ')})${attributes === '{}' ? '' : ` ${attributes}`}`;
}
