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
    lines.push(`${name} = ${names.get(node)}.${index}`);
  return lines.join('\n');
}

function expression(node: Node, names: ReadonlyMap<Node, string>): string {
  const inputs = node.inputs.map((t) => names.get(t.node)! + (t.index > 0 ? `.${t.index}` : ''));
  if (node.kind === 'constant') {
    const { values } = (node as Node<'constant'>).attributes;
    return `constant(${values.slice(0, 4).join(' ')}${values.length > 4 ? ' …' : ''})`;
  }
  const attributes = JSON.stringify(node.attributes);
  return `${node.kind}(${inputs.join(', ')})${attributes === '{}' ? '' : ` ${attributes}`}`;
}
