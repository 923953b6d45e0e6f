// heed's version, as package.json says it.

import { readFileSync } from 'node:fs';

export function heedVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}
