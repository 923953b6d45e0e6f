// Which tokens begin a text, end it and fill up a batch: named in tokenizer_config.json, next to tokenizer.json.

import type { JsonField } from './json-field.ts';

export interface SpecialRoles {
  bos?: number;
  eos?: number;
  pad?: number;
}

export const specialRoles = ['bos', 'eos', 'pad'] as const;

/** @throws FormatError for a name that no token has */
export function readSpecialRoles(configuration: JsonField, ids: ReadonlyMap<string, number>): SpecialRoles {
  const special: SpecialRoles = {};
  for (const role of specialRoles) {
    const field = configuration.at(`${role}_token`);
    if (!field.present) continue;
    // Older files write the token with its flags, {"content": "</s>", "lstrip": false, …}.
    const name = typeof field.value === 'object' ? field.at('content') : field;
    special[role] = ids.get(name.string()) ?? name.fail('a token of tokenizer.json');
  }
  return special;
}
