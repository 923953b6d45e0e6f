export { type ScoringOptions, sequenceLogProbs, sequenceScores } from '../scoring/sequences.ts';
