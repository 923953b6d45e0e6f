// What `npm test` runs, from a fresh clone with Node alone: installs, builds, tests, and says what was slow and
// what was skipped. A test's tier is in its file's name:
//   *.test.ts       unit tests, first
//   *.slow.test.ts  whole commands and short training runs, after them
//   *.ci.test.ts    soak and kill tests, devices in software, long learning runs, other implementations: with
//                   HEED_TESTS=all, as in .ci/run
// Words after `--` go to vitest in place of the tiers. HEED_REQUIRE_GOLDEN=1 makes a skipped golden test a failure.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installAndBuild, runs } from './install.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const slowestCount = 5;
const tiers = [
  { name: 'Unit tests', words: ['--exclude', '**/*.slow.test.ts', '--exclude', '**/*.ci.test.ts'] },
  { name: 'Slow tests', words: ['.slow.test.ts'] },
  { name: 'CI tests', words: ['.ci.test.ts'] },
];

process.chdir(root);
process.exitCode = main(process.argv.slice(2));

function main(words) {
  if (!installAndBuild()) return 1;
  const runsAll = process.env.HEED_TESTS === 'all';
  const chosen = words.length > 0 ? [{ name: 'Tests', words }] : tiers.slice(0, runsAll ? 3 : 2);
  const results = chosen.map((tier) => ({ ...tier, ...runTests(tier.words) }));
  const files = results.flatMap(({ files }) => files);
  reportSlowest(files);
  const lacksGolden = reportSkipped(files);
  for (const { name, seconds } of results) console.log(`${name} took ${seconds.toFixed(1)} s.`);
  if (words.length === 0 && !runsAll) reportLeftToCi();
  if (lacksGolden && process.env.HEED_REQUIRE_GOLDEN) {
    console.error('Golden tests were skipped, and HEED_REQUIRE_GOLDEN asks for all of them.');
    return 1;
  }
  return results.every(({ passed }) => passed) ? 0 : 1;
}

/** One vitest run: whether it passed, how long it took, and its report by file. */
function runTests(words) {
  const folder = mkdtempSync(join(tmpdir(), 'heed-test-'));
  const report = join(folder, 'report.json');
  const start = performance.now();
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const passed = runs(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...words]);
  const seconds = (performance.now() - start) / 1000;
  const files = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')).testResults : [];
  rmSync(folder, { recursive: true });
  return { passed, seconds, files };
}

function reportSlowest(files) {
  const seconds = ({ startTime, endTime }) => (endTime - startTime) / 1000;
  const slowest = files.toSorted((a, b) => seconds(b) - seconds(a)).slice(0, slowestCount);
  console.log('Slowest test files:');
  for (const file of slowest)
    console.log(`  ${seconds(file).toFixed(1).padStart(6)} s  ${relative(root, file.name)}`);
}

function reportLeftToCi() {
  const left = readdirSync('src', { recursive: true }).filter((name) => name.endsWith('.ci.test.ts'));
  console.log(`Not run: ${left.length} files that .ci/run runs too (here with HEED_TESTS=all):`);
  for (const name of left.toSorted()) console.log(`  ${join('src', name)}`);
}

/** @returns whether a test that needs the golden data was skipped */
function reportSkipped(files) {
  const skipped = files.flatMap(({ name, assertionResults }) =>
    assertionResults
      .filter(({ status }) => status === 'skipped' || status === 'pending')
      .map(({ fullName }) => ({ file: relative(root, name), fullName, isGolden: isGolden(name, fullName) })),
  );
  const golden = skipped.filter(({ isGolden }) => isGolden);
  console.log(`Skipped tests: ${skipped.length}, of them golden: ${golden.length}.`);
  if (golden.length > 0) {
    const folder = resolve(process.env.HEED_GOLDEN ?? '../shared/golden');
    console.log(`  Golden data ${existsSync(folder) ? 'found' : 'missing'} at ${folder} (HEED_GOLDEN).`);
  }
  for (const { file, fullName } of skipped) console.log(`  ${file}: ${fullName}`);
  return golden.length > 0;
}

/** A test is golden by its title, or by lying in a file that reads the golden data, unless a device is its reason. */
function isGolden(file, fullName) {
  if (/golden/i.test(fullName)) return true;
  return !/web ?gpu|cuda|device/i.test(fullName) && readFileSync(file, 'utf8').includes('HEED_GOLDEN');
}
