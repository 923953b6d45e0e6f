// An ONNX model as plain data, and its bytes. Field numbers are those of onnx.proto3 (IR version 10).
// Weights are inputs, never initializers, so a model stays small: 86 kB for a training step of six layers.

import { ProtobufWriter } from './protobuf.ts';

export type OnnxType = 'float' | 'double' | 'int32' | 'int64' | 'bool' | 'uint8';

const elementTypes: { [K in OnnxType]: number } = {
  float: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  bool: 9,
  double: 11,
};

export type OnnxAttribute =
  | { kind: 'int'; value: number }
  | { kind: 'ints'; value: readonly number[] }
  | { kind: 'float'; value: number }
  | { kind: 'string'; value: string };

export interface OnnxNode {
  operator: string;
  /** '' is the standard operator set, 'com.microsoft' ONNX Runtime's own. */
  domain: '' | 'com.microsoft';
  /** '' marks an optional input or output that is absent. */
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Readonly<Record<string, OnnxAttribute>>;
}

export interface OnnxValue {
  name: string;
  type: OnnxType;
  /** A name stands for a size that the graph leaves open. */
  shape: readonly (number | string)[];
  /** A sequence of tensors of this type instead of a tensor. */
  isSequence?: boolean;
}

export interface OnnxConstant {
  name: string;
  type: OnnxType;
  shape: readonly number[];
  /** Little-endian elements, as ONNX's raw_data. */
  data: Uint8Array;
}

export interface OnnxGraph {
  nodes: readonly OnnxNode[];
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
  constants: readonly OnnxConstant[];
  /** The types of what nodes compute in between, where they are known. */
  intermediates?: readonly OnnxValue[];
}

const standardOperatorSet = 21;

/** The bytes of an ONNX ModelProto. */
export function encodeModel(graph: OnnxGraph): Uint8Array {
  return new ProtobufWriter()
    .integer(1, 10)
    .string(2, 'heed')
    .message(7, (writer) => writeGraph(writer, graph))
    .message(8, (writer) => writer.string(1, '').integer(2, standardOperatorSet))
    .message(8, (writer) => writer.string(1, 'com.microsoft').integer(2, 1))
    .finish();
}

function writeGraph(writer: ProtobufWriter, graph: OnnxGraph): void {
  for (const node of graph.nodes) writer.message(1, (inner) => writeNode(inner, node));
  writer.string(2, 'heed');
  for (const constant of graph.constants) writer.message(5, (inner) => writeConstant(inner, constant));
  for (const input of graph.inputs) writer.message(11, (inner) => writeValue(inner, input));
  for (const output of graph.outputs) writer.message(12, (inner) => writeValue(inner, output));
  for (const value of graph.intermediates ?? []) writer.message(13, (inner) => writeValue(inner, value));
}

function writeNode(writer: ProtobufWriter, node: OnnxNode): void {
  for (const input of node.inputs) writer.string(1, input);
  for (const output of node.outputs) writer.string(2, output);
  writer.string(4, node.operator);
  for (const [name, attribute] of Object.entries(node.attributes)) {
    writer.message(5, (inner) => writeAttribute(inner, name, attribute));
  }
  writer.string(7, node.domain);
}

function writeAttribute(writer: ProtobufWriter, name: string, attribute: OnnxAttribute): void {
  writer.string(1, name);
  switch (attribute.kind) {
    case 'float':
      writer.float(2, attribute.value).integer(20, 1);
      return;
    case 'int':
      writer.integer(3, attribute.value).integer(20, 2);
      return;
    case 'string':
      writer.string(4, attribute.value).integer(20, 3);
      return;
    case 'ints':
      for (const value of attribute.value) writer.integer(8, value);
      writer.integer(20, 7);
  }
}

function writeConstant(writer: ProtobufWriter, constant: OnnxConstant): void {
  for (const dimension of constant.shape) writer.integer(1, dimension);
  writer.integer(2, elementTypes[constant.type]).string(8, constant.name).bytes(9, constant.data);
}

function writeValue(writer: ProtobufWriter, value: OnnxValue): void {
  const writeTensorType = (tensor: ProtobufWriter) =>
    tensor.integer(1, elementTypes[value.type]).message(2, (shape) => {
      for (const size of value.shape) shape.message(1, (dimension) => writeDimension(dimension, size));
    });
  writer.string(1, value.name).message(2, (type) => {
    if (value.isSequence)
      type.message(4, (sequence) => sequence.message(1, (e) => e.message(1, writeTensorType)));
    else type.message(1, writeTensorType);
  });
}

function writeDimension(writer: ProtobufWriter, size: number | string): void {
  if (typeof size === 'number') writer.integer(1, size);
  else writer.string(2, size);
}
