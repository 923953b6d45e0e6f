// The decoder families, by the model_type of their config.json.

import type { FamilyName } from '../config.ts';
import type { Family } from './family.ts';
import { gpt2 } from './gpt2.ts';
import { llama } from './llama.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';

export const families: { readonly [F in FamilyName]: Family } = { llama, qwen2, qwen3, gpt2 };
