export {
  type Prompt,
  type PromptOptions,
  type PromptTemplate,
  problemOf,
  readPrompts,
  tokenizePlainPrompt,
} from '../data/prompts.ts';
