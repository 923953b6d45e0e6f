// The library's public edge: what a program may import from 'heed'. The command line is made of the same functions.
//
// `runStage(stages.sft, options)` runs a stage as the command line does: defaults, checks, an engine process. The functions
// of the methods themselves (`sft`, `dpo`, …) take every option and run in the process that calls them.

export { type InstructionRecord, type PreferenceRecord, recognise } from './align/data/records.ts';
export { ChatTemplate, renderAlpacaPrompt, renderMessages } from './align/data/template.ts';
export { type CompareOptions, type CompareResult, compareEvaluations } from './align/evaluation/compare.ts';
export { type EvaluateResult, evaluate } from './align/evaluation/evaluate.ts';
export type { EvaluateOptions } from './align/evaluation/evaluation-options.ts';
export { type LabelResult, labelPrompts } from './align/evaluation/labels/label.ts';
export type { LabelOptions } from './align/evaluation/labels/label-options.ts';
export { type MergeOptions, type MergeResult, merge } from './align/evaluation/merge.ts';
export { type SampleOptions, type SampleResult, sampleCompletions } from './align/evaluation/sample.ts';
export { type ScoreOptions, type ScoreResult, scoreFiles } from './align/evaluation/score.ts';
export { type DpoOptions, type DpoResult, dpo } from './align/methods/dpo.ts';
export { type GrpoOptions, type GrpoResult, grpo } from './align/methods/grpo.ts';
export { type KtoOptions, type KtoResult, kto } from './align/methods/kto.ts';
export { type PpoOptions, type PpoResult, ppo } from './align/methods/ppo.ts';
export { type PretrainOptions, type PretrainResult, pretrain } from './align/methods/pretrain.ts';
export { type RejectOptions, type RejectResult, reject } from './align/methods/reject.ts';
export { type RewardOptions, type RewardResult, reward } from './align/methods/reward.ts';
export { type RlooOptions, type RlooResult, rloo } from './align/methods/rloo.ts';
export { type SftOptions, type SftResult, sft } from './align/methods/sft.ts';
export {
  type TokenizerOptions,
  type TokenizerResult,
  trainTokenizerOnFiles,
} from './align/methods/tokenizer.ts';
export type { RewardedAnswer, RewardFunction } from './align/rollouts/rewards.ts';
export type { RunEvent } from './align/run/events.ts';
export { type KataOptions, type KataResult, writeKata } from './align/worlds/kata/datasets.ts';
export { runStage, type StageEvent, type StageRun } from './app/stages/run-stage.ts';
export type { ModelUse, Stage } from './app/stages/stage.ts';
export { stages } from './app/stages/stages.ts';
export type { Summary, SummaryBlock } from './app/stages/summary.ts';
export { FormatError, ShapeError, UserError } from './engine/errors.ts';
export * as graph from './engine/graph/build.ts';
export { gradients } from './engine/graph/gradients.ts';
export { printGraph } from './engine/graph/print.ts';
export type { Tensor } from './engine/graph/tensor.ts';
export { Random } from './engine/random.ts';
export type { Backend, Device, Program } from './engine/runtime/backend.ts';
export { type JobContext, runJob } from './engine/runtime/job.ts';
export { openBackend } from './engine/runtime/onnx-backend.ts';
export { gatheringWorkers, type Workers } from './engine/runtime/workers.ts';
export {
  type CheckpointKind,
  loadModel,
  type Model,
  saveModel,
} from './language/checkpoint/checkpoint.ts';
export { locateModel } from './language/checkpoint/model-folder.ts';
export { type OpenedModel, type OpenOptions, openModel } from './language/checkpoint/open-model.ts';
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
