// The library's public edge: what a program may import from 'heed'. The command line is made of the same functions.

export { type InstructionRecord, type PreferenceRecord, recognise } from './align/data/records.ts';
export { ChatTemplate, renderAlpacaPrompt, renderMessages } from './align/data/template.ts';
export { type SampleOptions, type SampleResult, sampleCompletions } from './align/evaluation/sample.ts';
export { type ScoreOptions, type ScoreResult, scoreFiles } from './align/evaluation/score.ts';
export { type PretrainOptions, type PretrainResult, pretrain } from './align/methods/pretrain.ts';
export { type SftOptions, type SftResult, sft } from './align/methods/sft.ts';
export type { RunEvent } from './align/run/events.ts';
export { FormatError, ShapeError, UserError } from './engine/errors.ts';
export * as graph from './engine/graph/build.ts';
export { gradients } from './engine/graph/gradients.ts';
export { printGraph } from './engine/graph/print.ts';
export type { Tensor } from './engine/graph/tensor.ts';
export { Random } from './engine/random.ts';
export type { Backend, Device, Program } from './engine/runtime/backend.ts';
export { type JobContext, runJob } from './engine/runtime/job.ts';
export { openBackend } from './engine/runtime/onnx-backend.ts';
export {
  type CheckpointKind,
  loadModel,
  locateModel,
  type Model,
  saveModel,
} from './language/checkpoint/checkpoint.ts';
export {
  type Completion,
  type GenerationRequest,
  Generator,
  type GeneratorOptions,
  type SamplingOptions,
} from './language/generation/generate.ts';
export type { ModelConfig } from './language/model/config.ts';
export { Tokenizer } from './language/text/tokenizer.ts';
export { type TrainTokenizerOptions, trainTokenizer } from './language/text/train.ts';
