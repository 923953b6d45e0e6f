export { loadModelTokenizer, type ModelTokenizer } from '../data/model-tokenizer.ts';
