// `${name}` in a recipe's values: the folder of an earlier stage, or of one of the recipe's models.

const pattern = /\$\{([^}]*)\}/g;

/** The names referred to anywhere in a value, each once. */
export function namesReferredTo(value: unknown): string[] {
  return [...new Set(textsOf(value).flatMap((text) => [...text.matchAll(pattern)].map(([, name]) => name)))];
}

/** The value with every `${name}` replaced. */
export function replaceReferences(value: unknown, replacement: (name: string) => string): unknown {
  return mapTexts(value, (text) => text.replaceAll(pattern, (_, name: string) => replacement(name)));
}

/** Applies `change` to a text, or to every text of a list; other values stay. */
export function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  return Array.isArray(value) ? value.map((item) => mapTexts(item, change)) : value;
}

export function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.flatMap(textsOf) : [];
}
