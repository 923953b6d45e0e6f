// The embedded world: programming problems with tests, the text around them, and simulated people.

export {
  type Annotation,
  type AnnotatorProfile,
  annotate,
  type Comparison,
  carefulAnnotator,
  usualAnnotator,
} from './annotators.ts';
export { codeOf } from './answer-code.ts';
export {
  type CoachingRequest,
  coach,
  isRightAdvice,
  makeCoachingRequest,
  type Standing,
} from './coaching.ts';
export type { Composition, Step } from './composition.ts';
export {
  type CorpusName,
  completionPrompt,
  corpusNames,
  documents,
  firstFunction,
  makeDocument,
  mixedDocuments,
  usualMix,
} from './corpora.ts';
export { Dice } from './dice.ts';
export {
  type AlpacaRecord,
  type Blemish,
  type InstructionOptions,
  type InstructionQuality,
  instructions,
  type KataInstruction,
  makeInstruction,
} from './instructions.ts';
export { Judge, type JudgeOptions } from './judge.ts';
export {
  defaultLimits,
  type Failure,
  type JudgeRequest,
  judgeInProcess,
  type Limits,
  type Verdict,
} from './judge-core.ts';
export { type Family, families } from './operation.ts';
export { measureOverlap, type Overlap, type TrainingProgram } from './overlap.ts';
export { type Language, type StatementOptions, statement, type Wording } from './phrasings.ts';
export { type KataTest, makeProblem, type Problem, problemById, type Split } from './problem.ts';
export {
  goldReward,
  type ReadabilityFeatures,
  readability,
  readabilityFeatures,
  readabilityWeights,
} from './readability.ts';
export {
  type KataRequest,
  makeRequest,
  type RequestKind,
  type RequestOptions,
  requestKinds,
  usualKinds,
} from './requests.ts';
export * as rewards from './rewards.ts';
export { skeleton } from './skeleton.ts';
export { type Style, solution, styles } from './solutions.ts';
