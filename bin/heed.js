#!/usr/bin/env node
// The launcher: says what is missing before anything that could fail for it, then hands over to the program.

import { existsSync } from 'node:fs';

const program = new URL('../dist/app/cli/main.js', import.meta.url);
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`heed: expected Node 20.19 or later, got ${process.version}. Try https://nodejs.org.`);
  process.exitCode = 1;
} else if (!existsSync(program)) {
  console.error('heed: expected the built program in dist/, got none. Try npm run build.');
  process.exitCode = 1;
} else {
  const { main } = await import(program.href);
  await main(process.argv.slice(2));
}
