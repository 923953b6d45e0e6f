// The chat template that tokenizer_config.json brings, where no chat_template.jinja overrides it.

import type { JsonField } from './json-field.ts';

/**
 * @returns Jinja source: the text itself, or of a list of named ones the `default`, which Transformers uses without tools
 * @throws FormatError for a list without a default, and for anything else
 */
export function readChatTemplate(field: JsonField): string | undefined {
  if (!field.present) return undefined;
  if (!Array.isArray(field.value)) return field.string();
  const named = field.items().find((entry) => entry.at('name').value === 'default');
  return (named ?? field.fail('one named default among the templates')).at('template').string();
}
